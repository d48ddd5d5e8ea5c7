"""Secrets leave, everything else stays. Tokens are put together here so that no scanner takes them for real ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.redact import redact, removed

HEX = "0123456789abcdef"
LETTERS = "Zx81kfP0aQ93bnTT42LmQ7rVw5YcJd6H"
WORDS12 = "abandon ability able about above absent absorb abstract absurd abuse access accident"
WORDS24 = f"{WORDS12} account accuse achieve acid acoustic acquire across act action actor actress actual"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEpAIBAAKCAQEA75\nabc+/=\n-----END RSA PRIVATE " + "KEY-----"

SECRETS = {
    "slack bot token": ("token", "xox" + "b-123456789012-1234567890123-" + LETTERS),
    "slack app token": ("token", "xap" + "p-1-A0123456789-1234567890123-" + HEX * 2),
    "slack webhook": ("token", "T00000000/B00000000/" + LETTERS[:24]),
    "github token": ("token", "ghp" + "_" + LETTERS + "1234"),
    "github fine token": ("token", "github_pat" + "_" + LETTERS + "_" + LETTERS),
    "gitlab token": ("token", "glpat" + "-" + LETTERS[:20]),
    "aws key id": ("api key", "AKIA" + "IOSFODNN7EXAMPLE"),
    "aws secret": ("api key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "stripe key": ("api key", "sk" + "_live_" + LETTERS[:24]),
    "stripe webhook": ("api key", "whsec" + "_" + LETTERS),
    "google key": ("api key", "AIza" + "Sy" + LETTERS + "a"),
    "model key": ("api key", "sk" + "-proj-" + LETTERS),
    "jwt": ("token", JWT),
    "pem": ("private key", PEM),
    "discord token": ("token", "MTE5ODIyMjQyNjUyNzQ3Nzc2MA" + ".G4bXyz." + LETTERS[:27]),
    "telegram token": ("token", "123456789" + ":AA" + LETTERS + "a"),
    "npm token": ("token", "npm" + "_" + LETTERS + "abcd"),
    "visa": ("card number", "4111111111111111"),
    "visa in groups": ("card number", "4111 1111 1111 1111"),
    "mastercard with dashes": ("card number", "5555-5555-5555-4444"),
    "amex": ("card number", "3782 822463 10005"),
    "diners": ("card number", "30569309025904"),
    "iban": ("account number", "DE89 3704 0044 0532 0130 00"),
    "iban in one": ("account number", "GB82WEST12345698765432"),
    "ssn": ("identity number", "219-09-9999"),
    "twelve words": ("recovery phrase", WORDS12),
    "twenty-four words": ("recovery phrase", WORDS24),
}
AROUND = {
    "aws secret": "aws_secret_access_key = {}",
    "slack webhook": "https://hooks.slack.com/services/{}",
    "twelve words": "my seed phrase is: {}",
    "twenty-four words": "look:\n{}\nthat was it",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_gone_and_its_kind_stays(name):
    kind, secret = SECRETS[name]
    for around in ("Hi, here it is: {} thanks", "{}", "it says\n{}\nin my file"):
        found = redact(AROUND.get(name, around).format(secret))
        assert secret not in found.text
        assert f"[{kind} removed]" in found.text
        assert kind in found.kinds
        assert redact(found.text).text == found.text
        assert redact(found.text).kinds == ()
        assert removed(found.text) == found.kinds


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: hunter22", "hunter22"),
        ("Password is Tr0ub4dor&3, thanks", "Tr0ub4dor&3"),
        ("my password: sunflower", "sunflower"),
        ("Passwort lautet Sommer2024!", "Sommer2024!"),
        ("pwd=s3cr3t!", "s3cr3t!"),
        ("user bob pass: abcDEF12", "abcDEF12"),
        ("postgres://admin:pa55word@db.example.com/shop", "pa55word"),
        ("Authorization: Bearer " + LETTERS, LETTERS),
        ('{"api_key": "' + LETTERS + '"}', LETTERS),
        ("https://example.com/cb?user=5&access_token=" + LETTERS + "&x=1", LETTERS),
        ("https://bucket.example.com/a?X-Amz-Signature=" + HEX, HEX),
        ("the cvv is 123", "123"),
        ("PIN: 4821", "4821"),
        ("my ssn 219099999", "219099999"),
        ("passport number C01X00T47", "C01X00T47"),
        (
            "1. abandon 2. ability 3. able 4. about 5. above 6. absent 7. absorb 8. abstract 9. absurd 10. abuse 11. access 12. accident",
            "ability",
        ),
        ("4111\u200b1111\u200b1111\u200b1111", "1111\u200b1111"),
    ],
)
def test_secrets_that_only_their_surroundings_betray(text, secret):
    found = redact(text)
    assert secret not in found.text
    assert found.kinds
    assert redact(found.text).text == found.text


@pytest.mark.parametrize(
    "text",
    [
        "My order number is 4123456789012",
        "order 4111111111111111 has not arrived",  # an order number may be a valid card number by chance
        "Tracking number: 6011000990139424",
        "Ticket T-1042, invoice INV-2026-00017",
        "Version 4.11.1, build 20261126.3",
        "Call me: +49 170 1234567 or (555) 123-4567 or 0049 30 901820",
        "https://example.com/docs?page=2&q=token#api-keys",
        "https://example.com/a/b/4111/1111.html",
        "4111 1111 1111 1112",  # a wrong check digit
        "2026-11-26 21:25:40.123456",
        "550e8400-e29b-41d4-a716-446655440000",
        "commit 9e7d812ab5d4f1c3e2b1a09f8e7d6c5b4a392817",
        "How do I reset my password?",
        "password: I forgot it",
        "My password is wrong",
        "my password is not working",
        "Passwort: vergessen, was nun?",
        "the token expired",
        "api key: where do I find it?",
        "key = value",
        "What is a PIN code?",
        "The recovery phrase is shown once. Where do I see it again, please, after I closed the window?",
        "IBAN is DE00 0000 0000 0000 0000 00",
        "000-12-3456 is no such number",
        "the bearer of this letter",
        "we need twelve words here but this line is a sentence that has the usual small words in it",
        "Call 1-800-555-0199",
        "IMEI 490154203237518",
        "192.168.100.200 and 10.0.0.1:8080",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert redact(text).text == text
    assert redact(text).kinds == ()


def test_a_url_keeps_everything_but_its_token():
    found = redact("see https://example.com/x?lang=en&token=abc123def456&page=2 please")
    assert found.text == "see https://example.com/x?lang=en&token=[token removed]&page=2 please"


def test_several_secrets_are_each_named_once():
    found = redact("4111 1111 1111 1111 and 5555 5555 5555 4444, password: hunter22")
    assert sorted(found.kinds) == ["card number", "password"]
    assert found.text.count("[card number removed]") == 2


PIECES = st.sampled_from(
    [s for _, s in SECRETS.values()]
    + [
        "password: ",
        "token=",
        "key = ",
        "pin is ",
        " ",
        "\n",
        "-",
        "4",
        "1111 ",
        "[",
        "]",
        "removed]",
        "https://a.b/?token=",
        "eyJ",
        ".",
        "word ",
        "Bearer ",
    ]
)


@given(st.lists(PIECES | st.text(max_size=6), max_size=14).map("".join))
def test_redacting_twice_changes_nothing_more(text):
    once = redact(text)
    assert redact(once.text).text == once.text


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a" * 40 + "!",
        "a",
        "1",
        "4111 ",
        "word ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "password: ",
        "eyJ.",
        "https://a:",
        "key=",
        "A1 ",
        "1. abc ",
        "PuTTY-User-Key-File-2:",
    ],
)
def test_fifty_kilobytes_of_anything_are_soon_read(piece):
    """A pattern that goes back and forth would not come back before the suite's own time limit."""
    redact((piece * 50_000)[:50_000])
