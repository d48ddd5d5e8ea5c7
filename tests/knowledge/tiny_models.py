"""Folders with the shape of the well-known multilingual models, but tiny: two layers, random weights, a small vocabulary.

What they make of a text is a mixture of its pieces' random vectors: enough to tell which texts share words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

SIZE = 48  # of a vector
POSITIONS = 514  # as XLM-RoBERTa has them: the first two are never a text's
PREFIXES = {"query": "query: ", "passage": "passage: "}  # of multilingual-e5
MARKS = ("<s>", "<pad>", "</s>", "<unk>")  # in XLM-RoBERTa's order: the padding is 1, not 0
LINES = (
    "Wie bekomme ich mein Geld zurück? Eine Rückerstattung dauert vierzehn Tage nach der Kündigung.",
    "Wo finde ich meine Rechnung? Die Rechnung steht im Konto unter Abrechnung und Zahlung.",
    "Wie setze ich mein Passwort zurück? Nutze den Link auf der Anmeldeseite für ein neues Passwort.",
    "Die Gebühr: welche Gebühr, wann eine Gebühr, ohne Gebühr keine Rechnung, Gebühr und Passwort.",
    "How do I get my money back? Refunds take fourteen days after the cancellation of the subscription.",
    "Where is my invoice? Invoices are on the billing page of your account, every month.",
    "How do I reset my password? Use the link on the sign-in page to choose a new password.",
    "Comment obtenir un remboursement ? Le remboursement prend quatorze jours après la résiliation.",
    "Où est ma facture ? La facture se trouve sur la page de facturation de votre compte.",
    "我想退款。退款需要十四天。我的发票在哪里?发票在账单页面。如何重置密码?",
)


def multilingual(
    folder: Path,
    *,
    normalize: bool = False,
    prompts: Mapping[str, str] | None = None,
    dense: bool = False,
    pooling: str = "mean_tokens",
    limit: int | None = 128,
    seed: int = 7,
) -> Path:
    """Write a sentence-transformers folder: XLM-RoBERTa, pooling, and what else is asked for. `limit`: how many tokens
    it says that it reads; None leaves that to its configuration, as some published models do."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    pieces = _tokenizer(folder)
    torch.manual_seed(seed)
    shape = XLMRobertaConfig(
        vocab_size=pieces, hidden_size=SIZE, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=POSITIONS, type_vocab_size=1, layer_norm_eps=1e-5, initializer_range=0.1,
    )  # fmt: skip
    XLMRobertaModel(shape).save_pretrained(folder)
    modules = ["Transformer", "Pooling", *["Dense"] * dense, *["Normalize"] * normalize]
    places = ["", *(f"{at}_{kind}" for at, kind in enumerate(modules[1:], start=1))]
    for place in places[1:]:
        (folder / place).mkdir()
    _write(
        folder / "modules.json",
        [
            {"idx": at, "name": str(at), "path": place, "type": f"sentence_transformers.models.{kind}"}
            for at, (kind, place) in enumerate(zip(modules, places, strict=True))
        ],
    )
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": SIZE, **{f"pooling_mode_{mode}": mode == pooling for mode in modes}},
    )
    if dense:
        from sentence_transformers.models import Dense

        Dense(SIZE, SIZE // 2).save(str(folder / "2_Dense"))
    if limit:
        _write(folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    about = {"__version__": {"sentence_transformers": "2.2.2", "transformers": "4.30.0", "pytorch": "2.0.0"}}
    _write(folder / "config_sentence_transformers.json", about | ({"prompts": prompts} if prompts else {}))
    return folder


def _tokenizer(folder: Path) -> int:
    """A Unigram tokenizer as SentencePiece would have trained it, saved as XLM-RoBERTa's is; how many pieces it has."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=700, special_tokens=list(MARKS), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(LINES * 4, trainer)
    tokenizer.model = models.Unigram(_in_order(json.loads(tokenizer.to_str())["model"]["vocab"]), unk_id=3)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    named = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", **named
    )
    whole.save_pretrained(folder)
    return len(whole)


def _in_order(vocabulary: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Pieces in the same order every time: training leaves equals in any, and a piece's number chooses its weights."""
    marks, pieces = vocabulary[: len(MARKS)], vocabulary[len(MARKS) :]
    rounded = [(piece, round(score, 2)) for piece, score in pieces]
    return [*((mark, score) for mark, score in marks), *sorted(rounded, key=lambda one: (-one[1], one[0]))]


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
