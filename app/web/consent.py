"""What the pages of a consent share: the browser they belong to, where a request comes from, the way to the vendor."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app.connecting import LINK_LIFETIME
from app.errors import NotAllowed
from app.web.security import policy
from app.web.wording import provider_name, words


class Consent:
    """The browser side of consents at one public address."""

    def __init__(self, public_base_url: str) -> None:
        public = urlsplit(public_base_url)
        self._origin, self.is_https = f"{public.scheme}://{public.netloc}", public.scheme == "https"
        self._cookie = "__Host-threadlink" if self.is_https else "threadlink"

    @property
    def browser(self) -> str:
        """The browser of the request, by the cookie that sent_on() gave it; "" for an unknown one."""
        return request.cookies.get(self._cookie, "")

    def require_own_page(self) -> None:
        """Refuse a request that another site had the browser send. Raises NotAllowed."""
        if request.headers.get("Origin") != self._origin:
            raise NotAllowed("other_origin")

    def sent_on(self, url: str, browser: str) -> WerkzeugResponse:
        """Send the browser to the vendor's page, and know it again when it comes back."""
        answer = redirect(url, 303)
        answer.set_cookie(
            self._cookie,
            browser,
            max_age=LINK_LIFETIME,
            secure=self.is_https,
            httponly=True,
            samesite="Lax",  # Strict would stay behind when the vendor sends the browser back
        )
        return answer

    def leading_away(self, page: Response) -> Response:
        """Let the form of a page end at a vendor: Chrome applies form-action to the redirect behind the form too."""
        # A simulated vendor is plain http.
        page.headers["Content-Security-Policy"] = policy(
            form_action="'self' https:" + ("" if self.is_https else " http:")
        )
        return page


def page_of(template: str, locale: str, **shown: object) -> Response:
    """Render a page in a language."""
    return Response(render_template(template, text=words(locale), locale=locale, provider_name=provider_name, **shown))
