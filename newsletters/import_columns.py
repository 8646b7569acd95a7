"""Which column of an uploaded table is what: a guess from the headings, and the check of what staff chose."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from django.core.exceptions import ValidationError

from newsletters.models import SubscriberField

LEAVE_OUT = ""
EMAIL, NAME, FIRST_NAME, LAST_NAME, LANGUAGE = "email", "name", "first_name", "last_name", "language"
ATTRIBUTE = "attribute:"

OWN = {
    EMAIL: "E-mail address",
    NAME: "Name",
    FIRST_NAME: "First name (becomes part of the name)",
    LAST_NAME: "Last name (becomes part of the name)",
    LANGUAGE: "Language",
}
_RESERVED = {"name", "email", "language", "lists", "unsubscribe_url", "view_url", "preferences_url", "content", "feed"}
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")

# English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Danish, Norwegian, Finnish, Czech,
# Turkish, Hungarian, Greek, Russian; without accents and signs, as headings are compared.
_HEADINGS = {
    EMAIL: (
        "email mail emailaddress mailaddress emails emailadresse mailadresse emailadress epost epostadresse epostadress "
        "courriel adresseemail adressemail adresseelectronique adressecourriel correo correoelectronico "
        "direcciondecorreo direcciondecorreoelectronico correio correioeletronico enderecodeemail postaelettronica "
        "indirizzoemail indirizzomail emailadres adresemail adrespocztyelektronicznej sahkoposti sahkopostiosoite "
        "mailovaadresa emailovaadresa eposta epostaadresi emailcim ηλεκτρονικοταχυδρομειο почта электроннаяпочта "
        "адресэлектроннойпочты subscriberemail contactemail"
    ),
    NAME: (
        "name fullname displayname contactname subscribername vollername namevorname nom nomcomplet nomprenom nombrecompleto "
        "nombreyapellidos nomecompleto nomecognome naam volledigenaam navn fuldenavn fulltnavn namn fulltnamn nimi "
        "imieinazwisko jmeno celejmeno adsoyad nev teljesnev ονομα ονοματεπωνυμο имя фио"
    ),
    FIRST_NAME: "firstname givenname forename vorname prenom nombre nomeproprio primeironome nome voornaam fornavn fornamn etunimi imie krestnijmeno ad keresztnev",
    LAST_NAME: "lastname surname familyname nachname familienname nomdefamille apellido apellidos sobrenome apelido cognome achternaam efternavn etternavn efternamn sukunimi nazwisko prijmeni soyad vezeteknev фамилия",
    LANGUAGE: "language lang locale sprache langue idioma lingua taal jezyk sprak sprog kieli jazyk dil nyelv γλωσσα язык",
}  # fmt: skip
_KNOWN = {word: target for target, text in _HEADINGS.items() for word in text.split()}


def guess(headings: Sequence[str], first_cells: Sequence[str] = ()) -> dict[int, str]:
    """What each column probably is, each target once; where no heading says so, the column with an address is the e-mail.

    Columns that nothing is known of are left out: what nobody needs is better not kept.
    """
    fields = {}
    for field in SubscriberField.objects.all():
        fields[_comparable(field.label)] = fields[_comparable(field.key)] = f"{ATTRIBUTE}{field.key}"
    found: dict[int, str] = {}
    for position, heading in enumerate(headings):
        word = _comparable(heading)
        target = fields.get(word) or _KNOWN.get(word, LEAVE_OUT)
        if target and target not in found.values():
            found[position] = target
    if EMAIL not in found.values():
        with_address = [position for position, cell in enumerate(first_cells) if "@" in cell]
        if with_address:
            found[with_address[0]] = EMAIL
    if NAME in found.values():
        found = {position: target for position, target in found.items() if target not in (FIRST_NAME, LAST_NAME)}
    return found


def key_of(heading: str) -> str:
    """The name under which a column can be kept as an attribute; empty where the heading gives none."""
    plain = unicodedata.normalize("NFKD", heading.casefold()).encode("ascii", "ignore").decode()
    key = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40].strip("_")
    return key if _KEY.fullmatch(key) and key not in _RESERVED else ""


def targets(heading: str, fields: Mapping[str, SubscriberField]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What staff can choose for a column, in groups with a name."""
    groups = [("", [(LEAVE_OUT, "Leave out"), *OWN.items()])]
    if fields:
        groups.append(("Fields", [(f"{ATTRIBUTE}{key}", field.label) for key, field in fields.items()]))
    key = key_of(heading)
    if key and key not in fields:
        groups.append(("As it is", [(f"{ATTRIBUTE}{key}", f"Keep as “{key}”")]))
    return groups


def check(mapping: Mapping[int, str], headings: Sequence[str], fields: Mapping[str, SubscriberField]) -> None:
    """Checks what staff chose.

    Raises:
        ValidationError: no e-mail column, something chosen twice, or a target that does not exist.
    """
    chosen = {position: target for position, target in mapping.items() if target}
    for position, target in chosen.items():
        if not 0 <= position < len(headings):
            raise ValidationError("The file has other columns by now. Read it again.")
        offered = {value for _, group in targets(headings[position], fields) for value, _ in group}
        if target not in offered:
            raise ValidationError(f"What was chosen for “{headings[position]}” does not exist any more. Choose again.")
    twice = [target for target, times in Counter(chosen.values()).items() if times > 1]
    if twice:
        columns = [headings[position] for position, target in chosen.items() if target == twice[0]]
        raise ValidationError(
            f"“{label(twice[0], fields)}” is chosen for more than one column: {', '.join(columns)}. Keep one of them."
        )
    if EMAIL not in chosen.values():
        raise ValidationError("Choose the column that holds the e-mail addresses.")
    if NAME in chosen.values() and {FIRST_NAME, LAST_NAME} & set(chosen.values()):
        raise ValidationError("Choose either the name, or first and last name; not both.")


def label(target: str, fields: Mapping[str, SubscriberField]) -> str:
    """What a target is called."""
    if target.startswith(ATTRIBUTE):
        key = target.removeprefix(ATTRIBUTE)
        return fields[key].label if key in fields else key
    return OWN.get(target, "Leave out").partition(" (")[0]


def _comparable(heading: str) -> str:
    """A heading without case, accents and signs."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", heading.casefold()) if sign.isalnum())
    return plain
