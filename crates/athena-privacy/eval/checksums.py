"""Checks of the numbers that carry check digits, after the public description of each."""

import re

IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "BR": 29, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18,
    "FR": 27, "GB": 22, "GR": 27, "IT": 27, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "TR": 26,
}

VERHOEFF_D = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6], [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
VERHOEFF_P = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2], [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0], [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5], [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]

DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
CF_ODD = dict(zip(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
     2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
))


def digits(text):
    return [int(c) for c in text if c.isdigit()]


def luhn(text):
    total = 0
    for index, digit in enumerate(reversed(digits(text))):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def iban(text):
    compact = re.sub(r"\s", "", text).upper()
    if IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def us_ssn(text):
    d = "".join(c for c in text if c.isdigit())
    area, group, serial = d[:3], d[3:5], d[5:]
    return (len(d) == 9 and area not in ("000", "666") and area[0] != "9"
            and group != "00" and serial != "0000")


def weighted(text, weights):
    return sum(w * d for w, d in zip(weights, digits(text)))


def verhoeff(text):
    c = 0
    for index, digit in enumerate(reversed(digits(text))):
        c = VERHOEFF_D[c][VERHOEFF_P[index % 8][digit]]
    return c == 0


def mod11_10(d):
    """The check digit of ISO 7064, MOD 11,10, for the given digits."""
    product = 10
    for digit in d:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10


def nhs(text):
    d = digits(text)
    check = (11 - weighted(text, range(10, 1, -1)) % 11) % 11
    return len(d) == 10 and check == d[9]


def nino(text):
    compact = text.replace(" ", "")
    return bool(re.fullmatch(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", compact)) and \
        compact[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def sin(text):
    return len(digits(text)) == 9 and luhn(text)


def nir(text):
    d = "".join(map(str, digits(text)))
    return len(d) == 15 and 97 - int(d[:13]) % 97 == int(d[13:])


def steuer_id(text):
    d = digits(text)
    counts = sorted((d[:10].count(n) for n in set(d[:10])), reverse=True)
    return len(d) == 11 and d[0] != 0 and counts[0] in (2, 3) and counts[1] == 1 \
        and mod11_10(d[:10]) == d[10]


def dni(text):
    compact = re.sub(r"[\s-]", "", text)
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return len(compact) == 9 and DNI_LETTERS[int(number) % 23] == compact[-1]


def codice_fiscale(text):
    total = 0
    for index, c in enumerate(text[:15]):
        even = int(c) if c.isdigit() else ord(c) - 65
        total += CF_ODD[c] if index % 2 == 0 else even
    return len(text) == 16 and chr(65 + total % 26) == text[15]


def cpf(text):
    d = digits(text)
    first = sum(w * n for w, n in zip(range(10, 1, -1), d)) * 10 % 11 % 10
    second = sum(w * n for w, n in zip(range(11, 1, -1), d)) * 10 % 11 % 10
    return len(d) == 11 and [first, second] == d[9:]


def aadhaar(text):
    d = digits(text)
    return len(d) == 12 and d[0] > 1 and verhoeff(text)


def bsn(text):
    return len(digits(text)) == 9 and weighted(text, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 == 0


def pesel(text):
    return len(digits(text)) == 11 and \
        weighted(text, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 == 0


def personnummer(text):
    return len(digits(text)) in (10, 12) and luhn("".join(map(str, digits(text)[-10:])))


def ahv(text):
    return len(digits(text)) == 13 and text.startswith("756") and \
        weighted(text, [1, 3] * 6 + [1]) % 10 == 0


def china_id(text):
    total = weighted(text[:17], [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
    return len(text) == 18 and "10X98765432"[total % 11] == text[17]


def rrn(text):
    d = digits(text)
    total = weighted(text, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5])
    return len(d) == 13 and (11 - total % 11) % 10 == d[12]


def hetu(text):
    d = "".join(map(str, digits(text[:10])))
    return len(text) == 11 and HETU_LETTERS[int(d) % 31] == text[10]


def belgian(text):
    d = "".join(map(str, digits(text)))
    return len(d) == 11 and 97 - int(d[:9]) % 97 == int(d[9:])


def tckn(text):
    d = digits(text)
    tenth = (sum(d[0:9:2]) * 7 - sum(d[1:8:2])) % 10
    return len(d) == 11 and d[0] != 0 and d[9] == tenth and sum(d[:10]) % 10 == d[10]


NATIONAL = {
    "nhs": nhs, "nino": nino, "sin": sin, "nir": nir, "steuer": steuer_id, "dni": dni,
    "nie": dni, "cf": codice_fiscale, "cpf": cpf, "aadhaar": aadhaar, "bsn": bsn, "pesel": pesel,
    "personnummer": personnummer, "ahv": ahv, "cn": china_id, "rrn": rrn, "hetu": hetu,
    "belgian": belgian, "tckn": tckn,
}
