"""Ways out of the house, one file each. All take a Notice and a key that is the same for every attempt at it.

`send` returns when the receiver has said that it has the message, and raises ChannelError otherwise. What each kind
makes of a second attempt after an unknown first one is said in docs/alerting.md, "Once".
"""

from collections.abc import Mapping

from orchestration.lib.alerts.channels.base import Channel, ChannelError
from orchestration.lib.alerts.routes import Routes
from orchestration.lib.alerts.routes_schema import (
    AppriseChannel,
    EmailChannel,
    PagerDutyChannel,
    SlackChannel,
    WebhookChannel,
)

__all__ = ["Channel", "ChannelError", "channel_of", "missing_variables"]


def channel_of(routes: Routes, name: str, environ: Mapping[str, str]) -> Channel:
    """The channel of this name with its secrets. Raises ChannelError where a variable is not set.

    Imports what its kind needs, and only then: apprise takes half a second.
    """
    options = routes.channels.get(name)
    match options:
        case None:
            raise ChannelError(f"{routes.source} has no channel {name!r} any more", is_final=True)
        case SlackChannel():
            from orchestration.lib.alerts.channels.slack import Slack

            return Slack(_secret(environ, options.url_env), options.timeout.total_seconds())
        case WebhookChannel():
            from orchestration.lib.alerts.channels.webhook import Webhook

            url = options.url or _secret(environ, options.url_env or "")
            return Webhook(url, _secret(environ, options.secret_env), options.timeout.total_seconds())
        case EmailChannel():
            from orchestration.lib.alerts.channels.email import Email

            user = _secret(environ, options.user_env) if options.user_env else ""
            password = _secret(environ, options.password_env) if options.password_env else ""
            return Email(options, user, password)
        case PagerDutyChannel():
            from orchestration.lib.alerts.channels.by_apprise import PagerDuty

            key = _secret(environ, options.integration_key_env)
            return PagerDuty(key, options.region, options.timeout.total_seconds())
        case AppriseChannel():
            from orchestration.lib.alerts.channels.by_apprise import AnyService

            return AnyService(_secret(environ, options.url_env), options.timeout.total_seconds())


def missing_variables(routes: Routes, environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Variables that are not set, by the name of the channel that needs them."""
    missing = {
        name: [
            value
            for key, value in options.model_dump().items()
            if key.endswith("_env") and isinstance(value, str) and not environ.get(value)
        ]
        for name, options in routes.channels.items()
    }
    return {name: variables for name, variables in missing.items() if variables}


def _secret(environ: Mapping[str, str], variable: str) -> str:
    value = environ.get(variable, "")
    if not value:
        raise ChannelError(f"the environment variable {variable} is not set", is_final=True)
    return value
