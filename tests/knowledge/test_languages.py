"""Which language a question is in: from its function words where they leave no doubt, else from the detector."""

from __future__ import annotations

import pytest

from knowledge.languages import Languages, plainly


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I download an invoice?", "en"),
        ("can i get a refund, tell me", "en"),
        ("Wie kann ich meine Rechnung herunterladen?", "de"),
        ("Comment puis-je changer mon mot de passe ?", "fr"),
        ("¿Cómo puedo cambiar mis datos?", "es"),
        ("dove trovo i prezzi do estúdio", ""),  # "i" and "do" alone are Italian and Portuguese as well
        ("I prezzi sono alti", ""),
        ("Please ask my colleague, ich bin nicht da", ""),
        ("invoice?", ""),
        ("", ""),
    ],
)
def test_function_words_tell_what_leaves_no_doubt(text: str, language: str) -> None:
    assert plainly(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Rechnung herunterladen als Datei bitte", "de"),
        ("Download the invoice again please", "en"),
        ("Télécharger encore la facture", "fr"),
        ("Descargar otra vez la factura", "es"),
        ("Scaricare di nuovo la fattura", "it"),
        ("Baixar novamente a fatura", "pt"),
        ("Factuur opnieuw downloaden alstublieft", "nl"),
    ],
)
async def test_every_language_that_is_told_apart_has_its_models(text: str, language: str) -> None:
    """They are loaded two languages at a time, so that the event loop is never held up for long."""
    assert await Languages().detect(text, ("en", "de")) == language
