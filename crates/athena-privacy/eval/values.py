"""Made-up values: Faker's where it has a provider, ours where it has none.

The formats of keys follow the public documentation of each service; none of the values was issued
by anyone.
"""

import base64
import ipaddress
import json
import re
import string

from faker import Faker  # Faker==40.54.0

import checksums

LATIN = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL", "pl_PL", "sv_SE",
         "en_IN", "en_AU", "tr_TR", "da_DK", "fi_FI", "no_NO", "cs_CZ", "pt_PT", "en_CA", "de_CH"]
EMAIL_LOCALES = LATIN + ["ja_JP", "zh_CN", "ko_KR", "ru_RU", "uk_UA", "hi_IN", "ar_SA", "el_GR"]
PHONE_LOCALES = ["en_US", "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL",
                 "pl_PL", "sv_SE", "en_IN", "en_AU", "en_CA", "de_CH", "cs_CZ"]
IBAN_LOCALES = ["en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "tr_TR", "el_GR",
                "no_NO", "de_CH", "de_AT", "fi_FI", "pt_PT", "da_DK", "cs_CZ", "pt_BR"]
CARDS = ["visa16", "mastercard", "amex", "discover", "jcb16", "diners"]

ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"
BASE32 = string.ascii_uppercase + "234567"

_fakers = {}


def luhn_digit(body):
    return next(c for c in "0123456789" if checksums.luhn(body + c))


def in_fours(value):
    return " ".join(value[i:i + 4] for i in range(0, len(value), 4))


class Values:
    """Values of one text; the same seed gives the same values."""

    def __init__(self, rng):
        self.rng = rng

    def faker(self, locale):
        if locale not in _fakers:
            _fakers[locale] = Faker(locale)
        _fakers[locale].seed_instance(self.rng.getrandbits(32))
        return _fakers[locale]

    def some(self, alphabet, length):
        return "".join(self.rng.choice(alphabet) for _ in range(length))

    def urlsafe(self, length):
        """Ends in a letter or digit, so that a sentence can go on after it."""
        return self.some(URLSAFE, length - 1) + self.some(ALNUM, 1)

    def number(self, length):
        return self.rng.choice("123456789") + self.some(string.digits, length - 1)

    def shape(self, pattern):
        """Fills a pattern: `#` is a digit, `+` one that is not zero."""
        def fill(c):
            return self.rng.choice(string.digits if c == "#" else "123456789") if c in "#+" else c
        return "".join(map(fill, pattern))

    def birth(self, form, until=2003):
        century, year = divmod(self.rng.randint(1948, until), 100)
        month, day = self.rng.randint(1, 12), self.rng.randint(1, 28)
        return form.format(century=century, year=year, month=month, day=day)

    def until(self, make, good):
        while True:
            value = make()
            if good(value):
                return value

    def labelled(self, kind, variant):
        return getattr(self, kind)(variant)

    # What is labelled.

    def email(self, variant):
        rng = self.rng
        if variant == "plus":
            local, domain = self.email("en_US").split("@")
            return f"{local}+{rng.choice(['news', 'billing', 'test', 'shop', 'gh'])}@{domain}"
        if variant == "upper":
            return self.email("en_GB").upper()
        if variant == "idn":
            local = rng.choice(["jürgen.groß", "søren", "zoë.lefèvre", "małgorzata"])
            return f"{local}@{rng.choice(['müller-bau.de', 'blåbær.no', 'crêperie-bleue.fr'])}"
        if variant == "sub":
            local, domain = self.email("").split("@")
            return f"{local}@{rng.choice(['mail', 'corp', 'eu', 'cs', 'dept-4'])}.{domain}"
        if variant == "dotted":
            fake = self.faker("en_GB")
            first, last = fake.first_name().lower(), fake.last_name().lower()
            return f"{first}.{rng.choice(string.ascii_lowercase)}.{last}@{fake.domain_name()}"
        locale = variant or rng.choice(EMAIL_LOCALES)
        fake = self.faker(locale)
        make = rng.choice([lambda: fake.email(safe=False), fake.ascii_company_email,
                           fake.ascii_free_email])
        return self.until(make, lambda e: e.isascii() and "example" not in e)

    def phone(self, variant):
        rng = self.rng
        if variant == "intl":
            locale = rng.choice(PHONE_LOCALES + ["fi_FI", "da_DK", "ru_RU", "uk_UA", "el_GR"])
            return self.until(lambda: self.faker(locale).phone_number(),
                              lambda p: p.startswith("+") and self.dialable(locale, p))
        if variant == "e164":
            written = self.phone("intl").split("x")[0]
            return "+" + re.sub(r"\(0\)|\D", "", written)
        if variant == "ar_SA":
            return self.shape(rng.choice(["+966 5# ### ####", "+966-5#-###-####", "05########"]))
        if variant == "ext":
            return self.until(lambda: self.phone("en_US"), lambda p: "x" in p)
        locale = variant or rng.choice(PHONE_LOCALES)
        return self.until(lambda: self.faker(locale).phone_number(),
                          lambda p: self.dialable(locale, p))

    @staticmethod
    def dialable(locale, phone):
        """Whether a careful reader would take the number for one that can be dialled."""
        main = phone.split("x")[0]
        count = len(checksums.digits(main))
        if locale in ("en_US", "en_CA"):
            number = re.sub(r"^(\+1|001|1)\D?", "", main.strip())
            national = re.sub(r"\D", "", number)
            return len(national) == 10 and national[0] > "1" and national[3] > "1"
        if locale == "tr_TR":
            return main.startswith("+90") and count == 12
        if locale == "ja_JP":
            return re.match(r"0[789]0-", main) is not None
        least = 9 if locale not in ("da_DK", "no_NO") else 8
        return least <= count <= 15 and not main.startswith(("00", "(00"))

    def credit_card(self, variant):
        card = self.rng.choice(CARDS)
        if variant in CARDS:
            card, variant = variant, ""
        digits = self.faker("en_US").credit_card_number(card_type=card)
        separator = {"plain": "", "spaced": " ", "dashed": "-"}.get(
            variant, self.rng.choice(["", " ", " ", "-"]))
        sizes = [4, 6, 5] if len(digits) == 15 else [4, 6, 4] if len(digits) == 14 else [4] * 4
        groups, rest = [], digits
        for size in sizes:
            groups.append(rest[:size])
            rest = rest[size:]
        return separator.join(groups)

    def iban(self, variant):
        spaced = variant == "spaced" or (variant != "plain" and self.rng.random() < 0.5)
        locale = variant if variant in IBAN_LOCALES else self.rng.choice(IBAN_LOCALES)
        value = self.until(lambda: self.faker(locale).iban(), checksums.iban)
        return in_fours(value) if spaced else value

    def us_ssn(self, variant):
        value = self.until(lambda: self.faker("en_US").ssn(), checksums.us_ssn)
        separator = {"spaced": " ", "plain": ""}.get(variant, "-")
        return value.replace("-", separator)

    def ip_address(self, variant):
        if variant == "v6" or (variant == "" and self.rng.random() < 0.25):
            return self.until(self.ipv6, lambda ip: ipaddress.ip_address(ip).is_global)
        return self.until(lambda: self.faker("en_US").ipv4_public(), self.plain_ipv4)

    @staticmethod
    def plain_ipv4(ip):
        """Whether an address is one that a machine on the internet has."""
        first, *_, last = map(int, ip.split("."))
        return ipaddress.ip_address(ip).is_global and 11 < first < 224 and 0 < last < 255

    def ipv6(self):
        prefix = self.rng.choice(["2a01:4f8", "2600:1f18", "2a02:8109", "2003:e1", "2409:8a3c",
                                  "2804:14d", "2a00:23c6"])
        if self.rng.random() < 0.5:
            return f"{prefix}:{self.number(3)}:{self.some(HEX[1:], 3)}::{self.some(HEX[1:], 2)}"
        return f"{prefix}:" + ":".join(self.some(HEX[1:], 4) for _ in range(6))

    def path(self, variant):
        rng = self.rng
        user = self.user()
        folder = rng.choice(["projects", "src", "repos", "code", "Documents", "Downloads", "dev",
                             "Desktop", "git", "notes"])
        inner = rng.choice(["billing-api", "thesis", "shop", "infra", "parser", "ledger", "blog",
                            "crawler", "dotfiles", "invoices"])
        name = rng.choice(["main", "config", "auth", "report", "index", "session", "notes_old",
                           "test_login", "README", "export-2023"])
        file = name + rng.choice([".py", ".rs", ".ts", ".md", ".toml", ".json", ".go", ".txt"])
        if variant == "tilde":
            return rng.choice([f"~/{folder}/{inner}/{file}", f"~/.config/{inner}/{file}",
                               "~/.ssh/config", "~/.aws/credentials", f"~/{folder}/{file}"])
        if variant == "mac":
            return f"/Users/{user}/{folder}/{inner}/{file}"
        if variant == "macspace":
            return f"/Users/{user}/Library/Application Support/{inner}/{file}"
        if variant == "win":
            return f"C:\\Users\\{user}\\{folder}\\{inner}\\{file}"
        if variant == "winspace":
            return f"C:\\Users\\{user.title()}\\OneDrive - Personal\\{folder}\\{file}"
        if variant == "winesc":
            return f"C:\\\\Users\\\\{user}\\\\{folder}\\\\{inner}\\\\{file}"
        if variant == "winslash":
            return f"C:/Users/{user}/{folder}/{inner}/{file}"
        if variant == "wsl":
            return f"/mnt/c/Users/{user}/{folder}/{file}"
        if variant == "unicode":
            return f"/home/{rng.choice(['jürgen', 'zoë', 'søren', 'michał'])}/{folder}/{file}"
        if variant == "dir":
            return f"/home/{user}/{folder}/{inner}"
        return f"/home/{user}/" + rng.choice(
            [f"{folder}/{inner}/{file}", f"{folder}/{inner}/src/{file}", f".config/{inner}/{file}",
             f"{folder}/{file}"])

    def user(self):
        return self.until(lambda: self.faker(self.rng.choice(LATIN)).user_name(), str.isascii)

    def host(self):
        fake = self.faker(self.rng.choice(LATIN))
        domain = self.until(fake.domain_name, lambda d: d.isascii() and "example" not in d)
        return f"{self.rng.choice(['db', 'api', 'cache-2', 'mq', 'files', 'db-01.prod'])}.{domain}"

    def url(self, variant):
        rng = self.rng
        login = f"{self.user()}:{self.url_password()}"
        schemes = {
            "pg": lambda: f"{rng.choice(['postgres', 'postgresql'])}://{login}@{self.host()}:5432/"
                          f"{rng.choice(['app', 'billing', 'ledger?sslmode=require'])}",
            "mysql": lambda: f"mysql://{login}@{self.host()}:3306/shop",
            "redis": lambda: f"{rng.choice(['redis', 'rediss'])}://:{self.url_password()}@"
                             f"{self.host()}:6379/{rng.randint(0, 5)}",
            "mongo": lambda: f"mongodb+srv://{login}@cluster0.{self.some(LOWER, 5)}.mongodb.net/"
                             "prod?retryWrites=true&w=majority",
            "amqp": lambda: f"amqps://{login}@{self.host()}/{rng.choice(['vhost', 'jobs'])}",
            "ftp": lambda: f"{rng.choice(['ftp', 'sftp'])}://{login}@{self.host()}/incoming/",
            "https": lambda: f"https://{login}@{self.host()}/" + rng.choice(
                ["v1/status", "simple/", "feed.xml?page=2", "repo.git"]),
            "github": lambda: f"https://{rng.choice(['', 'x-access-token:'])}{self.secret('ghp')}"
                              f"@github.com/{self.word()}/{self.word()}.git",
            "gitlab": lambda: f"https://oauth2:{self.secret('glpat')}@gitlab.com/"
                              f"{self.word()}/{self.word()}.git",
            "local": lambda: f"postgres://{login}@localhost:5432/dev",
        }
        return schemes[variant or rng.choice(sorted(schemes))]()

    def url_password(self):
        body = self.some(ALNUM, self.rng.randint(9, 16))
        return body + self.rng.choice(["", "_7q", "%40x1", "-Zz", "!k"])

    # Keys, tokens and passwords.

    def secret(self, variant):
        make = self.SECRETS[variant]
        return make(self)

    def password(self):
        middle = self.some(ALNUM + "!@%^*_+=-", self.rng.randint(10, 18))
        return self.some(string.ascii_letters, 1) + middle + self.some(string.digits, 1)

    def human_password(self):
        rng = self.rng
        words = ["Summer", "Falcon", "Kaktus", "Winter", "Dragon", "Coffee", "Lisboa", "Purple",
                 "Monkey", "Zebra", "Krokus", "Berlin", "Rocket", "Tomate"]
        first, second = rng.sample(words, 2)
        return self.shape(rng.choice([f"{first}{second}+#!", f"{first}-{second}-+##",
                                      f"{first}@19+#{second}", f"{first}_{second}*+x"]))

    def part64(self, length):
        return base64.b64encode(self.rng.randbytes(length)).decode()

    def jwt(self):
        def encode(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

        def claims(value):
            return encode(json.dumps(value, separators=(",", ":")).encode())

        issued = self.rng.randint(1_600_000_000, 1_750_000_000)
        header = self.rng.choice([{"alg": "HS256", "typ": "JWT"},
                                  {"alg": "RS256", "kid": self.some(HEX, 8)}])
        body = {"sub": self.number(6), "iat": issued, "exp": issued + 3600, "scope": "read"}
        return ".".join([claims(header), claims(body), encode(self.rng.randbytes(32))])

    def pem(self, kind):
        start = {"OPENSSH PRIVATE KEY": "b3BlbnNzaC1rZXktdjEAAAAA",
                 "PGP PRIVATE KEY BLOCK": "lQOYBG"}.get(kind, "MII")
        size = 48 * self.rng.randint(3, 6) + self.rng.randint(10, 30)
        body = start + self.part64(size)[len(start):]
        lines = [body[i:i + 64] for i in range(0, len(body), 64)]
        if "PGP" in kind:
            lines = ["", *lines, "=" + self.some(ALNUM, 4)]
        return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    SECRETS = {
        "password": password,
        "human": human_password,
        "random": lambda v: v.some(ALNUM, v.rng.choice([24, 32, 40, 43])),
        "hex32": lambda v: v.some(HEX, 32),
        "hex64": lambda v: v.some(HEX, 64),
        "base64": lambda v: v.part64(v.rng.choice([32, 33, 48])),
        "aws_id": lambda v: v.rng.choice(["AKIA", "AKIA", "ASIA"]) + v.some(BASE32, 16),
        "aws": lambda v: v.some(BASE64, 39) + v.some(ALNUM, 1),
        "ghp": lambda v: v.rng.choice(["ghp_", "ghp_", "ghs_", "gho_"]) + v.some(ALNUM, 36),
        "ghpat": lambda v: f"github_pat_{v.some(UPPER, 2)}{v.some(ALNUM, 20)}_{v.some(ALNUM, 59)}",
        "glpat": lambda v: "glpat-" + v.urlsafe(20),
        "slack": lambda v: f"xoxb-{v.number(12)}-{v.number(13)}-{v.some(ALNUM, 24)}",
        "slackp": lambda v: f"xoxp-{v.number(12)}-{v.number(12)}-{v.number(13)}-{v.some(HEX, 32)}",
        "slackapp": lambda v: f"xapp-1-A{v.some(UPPER, 10)}-{v.number(13)}-{v.some(HEX, 64)}",
        "stripe": lambda v: v.rng.choice(["sk_live_", "sk_live_", "rk_live_", "sk_test_"])
        + ("51" + v.some(ALNUM, 97) if v.rng.random() < 0.5 else v.some(ALNUM, 24)),
        "whsec": lambda v: "whsec_" + v.some(ALNUM, 32),
        "openai": lambda v: f"sk-{v.some(ALNUM, 20)}T3BlbkFJ{v.some(ALNUM, 20)}",
        "openai_proj": lambda v: f"sk-proj-{v.some(URLSAFE, 74)}T3BlbkFJ{v.some(URLSAFE, 73)}A",
        "anthropic": lambda v: f"sk-ant-api03-{v.some(URLSAFE, 93)}AA",
        "google": lambda v: "AIzaSy" + v.urlsafe(33),
        "google_oauth": lambda v: "GOCSPX-" + v.urlsafe(28),
        "ya29": lambda v: "ya29.a0" + v.urlsafe(121),
        "azure_storage": lambda v: v.part64(64),
        "azure_ad": lambda v: f"{v.some(ALNUM, 3)}8Q~{v.urlsafe(34)}",
        "npm": lambda v: "npm_" + v.some(ALNUM, 36),
        "pypi": lambda v: "pypi-AgEIcHlwaS5vcmc" + v.urlsafe(156),
        "hf": lambda v: "hf_" + v.some(string.ascii_letters, 34),
        "sendgrid": lambda v: f"SG.{v.some(URLSAFE, 22)}.{v.urlsafe(43)}",
        "twilio": lambda v: v.some(HEX, 32),
        "telegram": lambda v: f"{v.number(10)}:AA{v.urlsafe(33)}",
        "digitalocean": lambda v: "dop_v1_" + v.some(HEX, 64),
        "databricks": lambda v: "dapi" + v.some(HEX, 32),
        "shopify": lambda v: v.rng.choice(["shpat_", "shpss_"]) + v.some(HEX, 32),
        "jwt": jwt,
        "rsa": lambda v: v.pem(v.rng.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY",
                                            "ENCRYPTED PRIVATE KEY"])),
        "openssh": lambda v: v.pem("OPENSSH PRIVATE KEY"),
        "pgp": lambda v: v.pem("PGP PRIVATE KEY BLOCK"),
        "pem_esc": lambda v: v.pem("PRIVATE KEY").replace("\n", "\\n"),
        "mailgun": lambda v: "key-" + v.some(HEX, 32),
        "mailchimp": lambda v: f"{v.some(HEX, 32)}-us{v.rng.randint(2, 21)}",
        "discord": lambda v: f"MT{v.some(ALNUM, 24)}.G{v.some(ALNUM, 5)}.{v.urlsafe(38)}",
        "grafana": lambda v: f"glsa_{v.some(ALNUM, 32)}_{v.some(HEX, 8)}",
        "vault": lambda v: "hvs.CAESI" + v.urlsafe(90),
        "docker": lambda v: "dckr_pat_" + v.urlsafe(27),
        "linear": lambda v: "lin_api_" + v.some(ALNUM, 40),
        "notion": lambda v: "ntn_" + v.number(11) + v.some(ALNUM, 35),
        "postman": lambda v: f"PMAK-{v.some(HEX, 24)}-{v.some(HEX, 34)}",
        "newrelic": lambda v: "NRAK-" + v.some(UPPER, 27),
        "groq": lambda v: "gsk_" + v.some(ALNUM, 52),
        "openrouter": lambda v: "sk-or-v1-" + v.some(HEX, 64),
        "age": lambda v: "AGE-SECRET-KEY-1" + v.some("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
        "rubygems": lambda v: "rubygems_" + v.some(HEX, 48),
        "atlassian": lambda v: "ATATT3xFfGF0" + v.some(URLSAFE, 171) + "=" + v.some(HEX.upper(), 8),
        "square": lambda v: "EAAA" + v.urlsafe(60),
        "figma": lambda v: "figd_" + v.urlsafe(40),
        "supabase": lambda v: "sbp_" + v.some(HEX, 40),
        "basic": lambda v: base64.b64encode(f"{v.user()}:{v.password()}".encode()).decode(),
    }

    # National ids, by the names of `checksums.NATIONAL`.

    def national_id(self, variant):
        name, _, style = variant.partition(".")
        check = checksums.NATIONAL[name]
        value = self.until(lambda: getattr(self, "id_" + name)(), check)
        return re.sub(r"[\s.\-/]", "", value) if style == "plain" else value

    def id_nhs(self):
        return self.rng.choice("4567") + self.shape("## ### ####")

    def id_nino(self):
        return self.some("ABCEGHJKLMNPRSTWXYZ", 2) + self.shape(" +# +# +# ") + self.some("ABCD", 1)

    def id_sin(self):
        return self.rng.choice("1245679") + self.shape("## ### ###")

    def id_nir(self):
        place = self.rng.choice(["75", "69", "13", "33", "59"])
        born = self.birth("{year:02}{month:02}")
        body = self.rng.choice("12") + born + place + self.shape("0+#0+#")
        full = body + f"{97 - int(body) % 97:02}"
        cuts = [0, 1, 3, 5, 7, 10, 13, 15]
        return " ".join(full[a:b] for a, b in zip(cuts, cuts[1:]))

    def id_steuer(self):
        d = list(range(10))
        self.rng.shuffle(d)
        d[self.rng.randint(1, 9)] = d[0]
        d = "".join(map(str, d)) + str(checksums.mod11_10(d))
        return f"{d[:2]} {d[2:5]} {d[5:8]} {d[8:]}"

    def id_dni(self):
        body = str(self.rng.randint(10_000_000, 79_999_999))
        return body + self.rng.choice(["", "-"]) + checksums.DNI_LETTERS[int(body) % 23]

    def id_nie(self):
        return self.rng.choice("XYZ") + self.shape("#######") + self.some(checksums.DNI_LETTERS, 1)

    def id_cf(self):
        day = self.rng.randint(1, 28) + self.rng.choice([0, 40])
        place = self.rng.choice(["H501", "F205", "L219", "D612", "F839", "A944", "G273"])
        born = self.birth("{year:02}") + self.some("ABCDEHLMPRST", 1) + f"{day:02}"
        return self.some("BCDFGLMNPRSTVZ", 6) + born + place + self.some(string.ascii_uppercase, 1)

    def id_cpf(self):
        return self.shape("###.###.###-##")

    def id_aadhaar(self):
        return self.some("23456789", 1) + self.shape("### +### ####")

    def id_bsn(self):
        return self.number(9)

    def id_pesel(self):
        born = self.birth("{year:02}{month:02}{day:02}", until=1999)
        return born + self.shape("#####")

    def id_personnummer(self):
        body = self.birth("{year:02}{month:02}{day:02}-", until=1999) + self.shape("###")
        return self.rng.choice(["", "19"]) + body + luhn_digit(body)

    def id_ahv(self):
        return self.shape("756.+###.+###.+#")

    def id_cn(self):
        place = self.rng.choice(["110101", "310101", "320102", "420102"])
        born = self.birth("{century}{year:02}{month:02}{day:02}")
        return place + born + self.shape("###") + self.some("0123456789X", 1)

    def id_rrn(self):
        born = self.birth("{year:02}{month:02}{day:02}", until=1999)
        return f"{born}-{self.rng.choice('12')}{self.rng.randint(0, 95):02}{self.shape('####')}"

    def id_hetu(self):
        born = self.birth("{day:02}{month:02}{year:02}", until=1999)
        number = f"{self.rng.randint(2, 899):03}"
        return f"{born}-{number}{checksums.HETU_LETTERS[int(born + number) % 31]}"

    def id_belgian(self):
        born = self.birth("{year:02}.{month:02}.{day:02}", until=1999)
        number = f"{self.rng.randint(1, 997):03}"
        return f"{born}-{number}.{97 - int(born.replace('.', '') + number) % 97:02}"

    def id_tckn(self):
        return self.number(11)

    # What is not labelled.

    def word(self):
        return self.rng.choice(["ledger", "atlas", "harbor", "quill", "tundra", "lantern", "pebble",
                                "orchid", "falcon", "marble", "cobalt", "willow", "ember", "delta",
                                "saffron", "mosaic", "juniper", "granite", "comet", "meadow"])

    def filler(self, name, argument):
        return str(self.FILLERS[name](self, argument))

    def between(self, argument):
        low, high = argument.split("-")
        return self.rng.randint(int(low), int(high))

    def octets(self, start):
        """An address that begins with the given octets and does not end in 0 or 255."""
        middle = [self.rng.randint(0, 255) for _ in range(3 - len(start))]
        return ".".join(map(str, [*start, *middle, self.rng.randint(1, 254)]))

    def private_ip(self):
        return self.octets(self.rng.choice([[10], [192, 168], [172, self.rng.randint(16, 31)]]))

    def documentation_ip(self):
        return self.octets(self.rng.choice([[192, 0, 2], [198, 51, 100], [203, 0, 113]]))

    def version4(self):
        limits = [130, 9, 255, 250]
        return ".".join(str(self.rng.randint(int(i == 0), limit)) for i, limit in enumerate(limits))

    def choice(self, *choices):
        return self.rng.choice(choices)

    def person(self, locale):
        return self.faker(locale or self.choice("en_US", "en_GB", "de_DE", "fr_FR", "it_IT"))

    def date(self):
        rng = self.rng
        return f"{rng.randint(2019, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"

    def clock(self):
        hour, minute, second = (self.rng.randint(0, limit) for limit in (23, 59, 59))
        return f"{hour:02}:{minute:02}:{second:02}"

    def wrong_card(self, style):
        shape = {"spaced": " ", "dashed": "-"}.get(style, "").join(["####"] * 4)
        return self.until(lambda: self.rng.choice("45") + self.shape(shape[1:]),
                          lambda d: not checksums.luhn(d))

    def wrong_iban(self, style):
        value = self.iban("plain")
        broken = self.until(lambda: value[:2] + self.some(string.digits, 2) + value[4:],
                            lambda i: not checksums.iban(i))
        return in_fours(broken) if style == "spaced" else broken

    def wrong_ssn(self):
        # Groups below 50: the others of area 9 are taxpayer numbers, which are somebody's.
        area = self.rng.choice(["000", "666", f"9{self.some(string.digits, 2)}"])
        return f"{area}-{self.rng.randint(10, 49)}-{self.number(4)}"

    def order_number(self, argument):
        return self.until(lambda: self.number(int(argument or 16)), lambda d: not checksums.luhn(d))

    FILLERS = {
        "int": between,
        "digits": lambda v, a: v.number(int(a)),
        "order": order_number,
        "hex": lambda v, a: v.some(HEX, int(a)),
        "b64": lambda v, a: v.some(BASE64, int(a)),
        "alnum": lambda v, a: v.some(ALNUM, int(a)),
        "uuid": lambda v, a: v.faker("en_US").uuid4(),
        "sha1": lambda v, a: v.some(HEX, 40),
        "short": lambda v, a: v.until(lambda: v.some(HEX, 7), lambda h: not h.isdigit()),
        "sha256": lambda v, a: v.some(HEX, 64),
        "sri": lambda v, a: v.part64(64),
        "semver": lambda v, a: ".".join(str(v.rng.randint(0, limit)) for limit in (30, 40, 99)),
        "version4": lambda v, a: v.version4(),
        "private_ip": lambda v, a: v.private_ip(),
        "documentation_ip": lambda v, a: v.documentation_ip(),
        "mac": lambda v, a: v.faker("en_US").mac_address(),
        "seconds": lambda v, a: v.rng.randint(1_500_000_000, 1_790_000_000),
        "millis": lambda v, a: v.rng.randint(1_500_000_000_000, 1_790_000_000_000),
        "date": lambda v, a: v.date(),
        "clock": lambda v, a: v.clock(),
        "lat": lambda v, a: f"{v.rng.uniform(-60, 70):.6f}",
        "lon": lambda v, a: f"{v.rng.uniform(-170, 170):.6f}",
        "price": lambda v, a: f"{v.rng.randint(1, 9999)}.{v.rng.randint(0, 99):02}",
        "isbn": lambda v, a: v.faker("en_US").isbn13(separator=a or "-"),
        "ean": lambda v, a: v.until(v.faker("en_US").ean13, lambda e: not checksums.luhn(e)),
        "name": lambda v, a: v.person(a).first_name(),
        "surname": lambda v, a: v.person(a).last_name(),
        "word": lambda v, a: v.word(),
        "user": lambda v, a: v.user(),
        "host": lambda v, a: f"{v.choice('web', 'db', 'node', 'cache')}-{v.between('10-40')}",
        "ticket": lambda v, a: f"{v.choice('OPS', 'PAY', 'WEB', 'CORE')}-{v.between('10-9999')}",
        "flight": lambda v, a: v.choice("LH", "BA", "AF", "KL", "UA") + v.number(4),
        "plate": lambda v, a: v.choice("B", "M", "HH") + v.shape("-XK +##"),
        "token": lambda v, a: f"[{a or 'email'}:{v.some(HEX, 16)}]",
        "dna": lambda v, a: v.some("ACGT", int(a)),
        "colour": lambda v, a: "#" + v.some(HEX, 6),
        "wrong_card": wrong_card,
        "wrong_iban": wrong_iban,
        "wrong_ssn": lambda v, a: v.wrong_ssn(),
    }
