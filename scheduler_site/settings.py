"""Django settings, built from the environment alone (docs/operations.md lists every variable)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from scheduler_site import mail_environment
from scheduler_site.environment import ConfigurationError, Environment
from scheduler_site.unfold import UNFOLD as UNFOLD
from schedules import zones as zones  # first of all: it settles whose time zone rules hold

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".data"))).resolve()
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.secret_key(DATA_DIR, debug=DEBUG)
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS", "")
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
if urlsplit(PUBLIC_URL).scheme not in ("http", "https") or not urlsplit(PUBLIC_URL).hostname:
    raise ConfigurationError(
        f"PUBLIC_URL is {PUBLIC_URL!r}; write the address readers use, such as https://news.example.org."
    )
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", f"127.0.0.1,localhost,[::1],{urlsplit(PUBLIC_URL).hostname}")
HTTPS = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if HTTPS else []
METRICS_TOKEN = env.text("METRICS_TOKEN")

# Who is told of problems. Addresses hold secrets, so they are here and never in the database.
ALERT_MAIL = env.listed("ALERT_MAIL", "")
if wrong := [address for address in ALERT_MAIL if "@" not in address.strip("@")]:
    raise ConfigurationError(f"ALERT_MAIL holds {wrong[0]!r}; write mail addresses, separated by commas.")
ALERT_URLS = env.text("ALERT_URLS").split()
if ALERT_URLS:
    import apprise  # slow, and most installations name no address

    for _number, _url in enumerate(ALERT_URLS, start=1):
        if apprise.Apprise.instantiate(_url, suppress_exceptions=True) is None:
            raise ConfigurationError(
                f"ALERT_URLS: Apprise cannot read address number {_number}; write one such as ntfys://ntfy.sh/topic or "
                "mailto://…, separated by spaces or lines."
            )
WATCHDOG_PING_URL = env.text("WATCHDOG_PING_URL")
if WATCHDOG_PING_URL and not WATCHDOG_PING_URL.startswith(("http://", "https://")):
    raise ConfigurationError("WATCHDOG_PING_URL is no web address; write one such as https://hc-ping.com/your-code.")
SENTRY_DSN = env.sentry_dsn()  # faults of the code; scheduler_site/error_reporting.py says what is sent

INSTALLED_APPS = [
    "scheduler_site.apps.SchedulerSiteConfig",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    # Beats and most workers show no pages: what the admin needs is loaded with the addresses (urls.py).
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "axes",
    "runs",
    "schedules",
    "newsletters",
    "reports",
    "cleanup",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "scheduler_site.security_headers.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "scheduler_site.reader.ReaderClock",
    "scheduler_site.refusals.Refusals",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "scheduler_site.urls"
WSGI_APPLICATION = "scheduler_site.wsgi.application"
ASGI_APPLICATION = "scheduler_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # scheduler_site is the first app, so its templates come first; listed twice, they could not extend what they replace.
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "schedules.desk_pause_views.banner",
            ],
        },
    },
]

DATABASES = {"default": env.database(DATA_DIR)}
# SQL that staff write runs as a role that can only read, and takes so much at most (docs/operations.md).
REPORTS_DATABASE_URL = env.text("REPORTS_DATABASE_URL")
if REPORTS_DATABASE_URL and not REPORTS_DATABASE_URL.startswith(("postgres://", "postgresql://")):
    raise ConfigurationError(
        "REPORTS_DATABASE_URL is no PostgreSQL address; write postgres://role:password@host:5432/name."
    )
REPORTS_SQL_SECONDS = env.number("REPORTS_SQL_SECONDS", 300, minimum=1)
REPORTS_SQL_MAX_ROWS = env.number("REPORTS_SQL_MAX_ROWS", 5_000_000, minimum=1)
REPORTS_SQL_MAX_MB = env.number("REPORTS_SQL_MAX_MB", 512, minimum=1)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it turns away before a password is looked at
    "django.contrib.auth.backends.ModelBackend",
]

# Wrong passwords: counted per name and address, so that nobody can lock a colleague out from somewhere else.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_CALLABLE = "scheduler_site.sign_in.locked_out"
AXES_CLIENT_IP_CALLABLE = "runs.client_address.of"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 1 if HTTPS else 0)  # TLS ends in a proxy, as a rule

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.time_zone()
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "scheduler_site" / "static"]
FILES_DIR = Path(env.text("FILES_URL", str(DATA_DIR / "files")).removeprefix("file://")).resolve()
# Files are only ever handed out by permission-checked views; there is deliberately no MEDIA_URL route.
MEDIA_ROOT = FILES_DIR
FILES_ACCEL = env.accelerated_files("FILES_ACCEL")
FIXTURE_DIRS = [BASE_DIR / "fixtures"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

_email = env.email()
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = _email["EMAIL_HOST"]
EMAIL_USE_TLS = bool(_email.get("EMAIL_USE_TLS", False))
EMAIL_USE_SSL = bool(_email.get("EMAIL_USE_SSL", False))
EMAIL_PORT = _email["EMAIL_PORT"] or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_TIMEOUT = env.number("EMAIL_TIMEOUT", 60, minimum=1)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"Almanac <almanac@{urlsplit(PUBLIC_URL).hostname}>")
REPORT_DOMAINS = env.domains("REPORT_DOMAINS")  # of addresses outside that reports may be mailed to; none where empty
SENDER_DOMAINS = env.listed("SENDER_DOMAINS", "")  # empty: that of DEFAULT_FROM_EMAIL
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# What comes back, and what we sign (docs/operations.md).
BOUNCE_DOMAIN = mail_environment.bounce_domain(env)
BOUNCE_MAILBOX_URL = mail_environment.bounce_mailbox_url(env)
MAIL_PROVIDER, ANYMAIL = mail_environment.provider(env)
DKIM_KEY, DKIM_SELECTOR, DKIM_DOMAIN = mail_environment.dkim(env)
if DKIM_KEY:
    EMAIL_BACKEND = "newsletters.dkim_signing.SigningBackend"
# How newsletters are handed to the mail server (docs/operations.md).
SENDING_MODE = mail_environment.sending_mode(env)
SENDING_CONNECTIONS = env.number("SENDING_CONNECTIONS", 8, minimum=1)
SENDING_PROCESSES = env.number("SENDING_PROCESSES", 2, minimum=1)
SENDING_DOMAIN_LIMITS = mail_environment.domain_limits(env)
SENDING_JOURNALS = env.text("SENDING_JOURNALS", str(DATA_DIR / "journals"))
LOCAL_MAILBOX_DIR = DATA_DIR / "mailbox"

# Feeds and links are fetched from public addresses only; an intranet's feed needs its network named here.
FETCH_ALLOW = env.networks("FETCH_ALLOW")

SESSION_COOKIE_AGE = 12 * 60 * 60  # a working day; pages that refresh themselves do not prolong it
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "scheduler_site.refusals.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # probes come from inside, without TLS
# Whether the neighbours of our host name may be held to TLS is not ours to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# Broker: only run ids travel through it, and every fact about a run is in the database.
BROKER_URL = env.broker(DATA_DIR)
BROKER_PREFIX = env.text("BROKER_PREFIX", "almanac:")
QUEUES = ("default", "newsletters", "reports", "cleanup")
BEAT_TICK_SECONDS = 1.0
LEASE_SECONDS = env.number("LEASE_SECONDS", 60, minimum=2)
REPUBLISH_SECONDS = env.number("REPUBLISH_SECONDS", 30, minimum=1)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname:<7} {name}: {message}", "style": "{"}},
    # "Not ready yet" is an answer to whoever asked, not an error of ours.
    "filters": {
        "no_readyz": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(getattr(record, "request", None), "path", "") != "/readyz",
        },
        # The links in mails are keys; a log is read by more people than a mail.
        "no_tokens": {"()": "scheduler_site.logged_tokens.HideTokens"},
        # Sixteen lines a minute about canaries that are well would hide the rest.
        "no_canaries": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: (
                not (
                    record.levelname == "INFO"
                    and isinstance(record.args, dict)
                    and record.args.get("name") == "runs.canary"
                )
            ),
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["no_readyz", "no_canaries", "no_tokens"],
        }
    },
    "loggers": {"axes": {"level": "WARNING"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
