"""Which benchmarks there are, how each measures, and what limits it: the words of docs/benchmarks.md, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    name: str
    module: str  # in this package; has `async run(*, quick) -> {"measures": […], "details": {…}}`
    title: str
    method: str
    limits: str


BENCHMARKS = (
    Benchmark(
        "line", "line", "The whole line against the bare sum of its parts",
        "The real process with a platform that accepts everything at once. The bare sum is one search of the same "
        "snapshot (embedding included) and one SQLite commit of the same size with synchronous=FULL; the two ways take "
        "turns in one process, every question is new to the cache of vectors, and debouncing, a wait by choice, is off. "
        "The cold start is the median of five new processes whose files are in the system's cache.",
        "One at a time, two commits with fsync stand before the answer leaves (the event; the decision with its rows, "
        "claimed for sending) where the bare sum has one, and four hops to the writer's thread and back; "
        "the triggers are compared by meaning beside the search. The embedding dominates. With 64 at a time both ways share batches, "
        "and the line's own Python (about a millisecond of parsing, deciding, wording and JSON for each question) "
        "competes with the model for the cores: its ratio there is what the single event loop costs.",
    ),
    Benchmark(
        "batching", "batching", "Micro-batching",
        "The library alone: questions one after another, and with 64 in flight. The two take turns; the best of five "
        "counts.",
        "The int8 model runs each text of a batch alone, so that a question's vector never depends on who else asked "
        "(ARCHITECTURE.md): what batching gains here is the second core and fewer hops between threads. On two cores the most that can be had is about 2 from the cores, times what larger "
        "products gain; the ranking after the embedding (one thread) takes its share out of it. The event loop shares the "
        "interpreter with the ranking: what it waits for is one of Python's switch intervals (5 ms) at a time.",
    ),
    Benchmark(
        "rebuild", "rebuild", "Building knowledge",
        "The files of datatalks-faq on a copy. Bare embedding is the same model on exactly the distinct texts that the "
        "build embedded, in the same batches. Then one sentence of one file is changed and the folder built again, "
        "three times; the median counts.",
        "A full build is the embedding and the rehearsal: the snapshot asks itself its own questions to calibrate its "
        "confidence, and the questions that it makes up for topics without any are embedded as well. After one changed "
        "file nothing else is embedded again; what remains is reading and hashing every file, the rehearsal of the "
        "whole (confidence belongs to a snapshot, not to a file) and writing the new snapshot.",
    ),
    Benchmark(
        "decide", "rules", "Pure decisions",
        "A fixed mix of events of a desk's day (answers, clarifications, votes, a handover with relay, edits and "
        "timers, a collected form, bystanders), played once and then decided again and again on one core; no "
        "embedding, no storage. Memory: 10,000 conversations, each with a claimed ticket, by tracemalloc.",
        "Allocation of immutable values: every decision copies the case that it changes. Conversations at rest are "
        "rows in the database, so the memory counts only for those that are being worked on.",
    ),
    Benchmark(
        "slack", "slack", "Slack, beside a hand-written app",
        "slack-bolt over Socket Mode to the local Slack server of the test suite, which runs in a process of its own "
        "and takes the times. The bare sum: one search, one commit, one chat.postMessage with the same body to the same "
        "server. Load: 200 questions/s offered for 60 s, each a new thread, spread over 400 channels and 1000 people, "
        "because Slack takes one message a second and channel; then up to 120 s to finish. The local server enforces no "
        "rate limit and redelivers what is not acknowledged in 3 s. The hand-written app "
        "(benchmarks/slack_naive_app.py) embeds inline and searches with numpy; it gets the same load. A question of "
        "ours that still waits in the database when time is up is not lost and is counted apart.",
        "Three programs (the bot, the server, the people in it) share two cores, so the server takes about a third of "
        "what is measured. The bot's event loop is the limit: Bolt's dispatch, JSON, three commits and the Web API call "
        "for each question. Offered more than it can answer, it acknowledges and stores everything at once and answers "
        "as fast as it can; the latency under such a load is the queue and nothing else.",
    ),
    Benchmark(
        "discord", "discord", "Discord",
        "discord.py against the local Discord server of the test suite; the same load as for Slack. An answer is two "
        "calls, a thread on the question and a message in it; the bare sum has both. Discord's gateway has no "
        "acknowledgement to wait for.",
        "discord.py's parsing of every gateway frame and its locks for every REST call come on top of what limits "
        "Slack. The real Discord allows a bot about 50 calls a second, so 200 questions a second could not be answered "
        "there by anybody; here the server sets no such limit.",
    ),
    Benchmark(
        "engine", "engine", "The embedding model on one core",
        "Each variant in a fresh process with one thread, three times, the calmest one counts. The arithmetic limit: "
        "the multiplications and additions of MiniLM-L6 (six layers of 4·384² + 2·384·1536 products for each token, "
        "and attention) over the best rate that a 1024×1024 single-precision matrix product reaches on this core with "
        "numpy or torch.",
        "A question has a dozen rows, too few to fill the core's registers as a large product does, and the weights "
        "have to come from the cache each time. int8 computes four times as many products in an instruction, so it can "
        "come close to or below the single-precision limit.",
    ),
    Benchmark(
        "vectors", "vectors", "Exact search against memory bandwidth",
        "384-dimensional vectors; all cosines by numpy and the best eight. The limit is the time in which two threads "
        "read the same bytes once. The approximate index (usearch's HNSW, [knowledge] approximate_from) "
        "runs on clustered vectors: its 512 nearest, their cosines, and the best eight of these, on one thread.",
        "Exact search reads every vector. Up to a hundred thousand passages that is a few milliseconds, no more than "
        "the embedding of the question, and it never misses. An approximate index, asked for as many keys as "
        "ranking needs, takes longer than that at ten thousand vectors and half as long at a hundred thousand; its build "
        "takes minutes. "
        "A support team's knowledge has hundreds to some thousands of passages: it is off unless configured.",
    ),
    Benchmark(
        "quality", "quality", "Quality of answers and of confidence",
        "Knowledge built from public sets, questions of the halves on which nothing was chosen (benchmarks/"
        "knowledge_sets.py; for the course channels the whole set). The line above which it answers comes from the "
        "snapshot's own rehearsal and max_wrong, and with transcripts from those too; it never sees a test question. The "
        "transcripts are the labelled questions that clinc150 keeps for development, given as an admin gives them "
        "(`firstline calibrate --transcripts`). Resamples: the share of 1000 bootstrap resamples of the questions in "
        "which at most max_wrong of the answered ones are wrong.",
        "The model is small (22 million parameters) and not trained on these sets. What it cannot tell apart, a "
        "threshold can only decline: coverage pays for precision. In datatalks-faq many questions have near-identical "
        "twins in three courses, which no ranking can tell apart without knowing the channel, and 30 of the 1,105 labels "
        'of the report half ask nothing ("question2").',
    ),
    Benchmark(
        "peers", "peers", "Beside other programs",
        "The same texts, the same questions, the same model, each in a process of its own on this machine. haystack: "
        "in-memory BM25 and embedding retrievers joined by reciprocal rank. chroma: its persistent store with "
        "sentence-transformers. Documents are cut into 180 words with overlap for both, each chunk with its question in "
        "front, which favours them. Cold start: a new process with a built index to its first answer.",
        "The peers are general toolkits with many stores and models; ours does one job. Their cold start is the import "
        "of torch. Our build takes longer than an index alone, because it also calibrates the confidence. Beside chroma the "
        "latency is that of the model's runtime (torch, or onnxruntime in int8), to which both add a millisecond or two "
        "of Python; the faster the model, the more those weigh.",
    ),
    Benchmark(
        "triggers", "trigger_figures", "Triggers",
        "Wordings and ordinary questions of the report half (benchmarks/triggers.py); thresholds come from the other "
        "half. The aim for false alarms is for each trigger; the sum over all of them is shown beside it.",
        "Meaning from a small model: irony and rare idioms are missed, and a question about a refund is near a demand "
        "for one. A missed trigger is still a question that the confidence must pass.",
    ),
)  # fmt: skip
BY_NAME = {one.name: one for one in BENCHMARKS}
