"""The dashboard on three machines: a session begun at one controller goes on at any other, for a real browser, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from lab.plane.machines import Plane
from lab.plane.services.dashboard import LOGIN, LOGOUT, PAGES, Person, own_server

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

VICTIM = "controller1"
CHECKED = 3.5
"""Seconds until the proxy has seen that a server is lost."""


@pytest.fixture
def password(services: Plane) -> str:
    """The administrator's."""
    services.wait_well()
    return services.secrets()["keystone.admin"]


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """Debian's Chromium without a screen."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server", "--lang=en"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@contextlib.contextmanager
def stopped(plane: Plane, machine: str) -> Iterator[None]:
    """One controller without its dashboard."""
    plane.lab.run(machine, "systemctl stop horizon")
    try:
        yield
    finally:
        plane.lab.run(machine, "systemctl start horizon")
        plane.wait_well()


def test_a_session_is_good_at_every_controller_and_ends_at_all(services: Plane, password: str) -> None:
    machines = services.lab.machines()
    servers = [own_server(services.lab.spec.slot(machine).address) for machine in machines]
    person = Person()
    person.login(servers[0], password)
    for path, title in PAGES.items():
        for server in servers:
            assert person.is_in(server, path, title), f"{server}{path}"
    stolen = dict(person.cookies)
    assert person.get(servers[1], LOGOUT).status_code == 302
    person.cookies = stolen
    for server in servers:
        assert person.get(server, "/project/api_access/").status_code == 302, "it was believed after its end"


def test_a_session_goes_on_when_the_controller_where_it_began_serves_no_more(services: Plane, password: str) -> None:
    person = Person()
    person.login(own_server(services.lab.spec.slot(VICTIM).address), password)
    vip = f"http://{services.vip}"
    path, title = "/project/api_access/", PAGES["/project/api_access/"]
    with stopped(services, VICTIM):
        for _ in range(6):  # the proxy asks one controller after the other
            assert person.is_in(vip, path, title), "it was stopped in order, which clients do not notice"
    try:
        services.lab.run(VICTIM, "systemctl kill --signal=STOP --kill-whom=all horizon")
        time.sleep(CHECKED)
        assert all(person.is_in(vip, path, title) for _ in range(6))
    finally:
        services.lab.run(VICTIM, "systemctl kill --signal=CONT --kill-whom=all horizon")
    services.wait_well()


def test_a_wrong_password_lets_nobody_in_and_another_name_is_refused(services: Plane, password: str) -> None:
    vip = f"http://{services.vip}"
    with pytest.raises(AssertionError):
        Person().login(vip, f"not {password}")
    assert requests.get(f"{vip}{LOGIN}", headers={"host": "another.example"}, timeout=10).status_code == 400
    assert Person().get(vip, "/").status_code == 302


def test_a_browser_logs_in_looks_around_and_out(services: Plane, password: str, browser: Chrome) -> None:
    waiting = WebDriverWait(browser, 60)
    browser.get(f"http://{services.vip}/")
    enter(browser, password)
    waiting.until(lambda seen: "Overview" in seen.title)
    with stopped(services, VICTIM):
        for path, title in PAGES.items():
            browser.get(f"http://{services.vip}{path}")
            assert title in browser.title
            assert browser.execute_script("return typeof horizon === 'object'"), "its scripts have not been loaded"
    said: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    wrong = [line for line in said if line["level"] == "SEVERE" and "/static/" in line["message"]]
    assert not wrong
    browser.get(f"http://{services.vip}{LOGOUT}")
    waiting.until(lambda seen: seen.find_elements(By.ID, "id_password"))
    browser.get(f"http://{services.vip}/identity/")
    assert LOGIN in browser.current_url


def enter(browser: Chrome, password: str) -> None:
    """Fill in the form, as it stands on the screen, and press the button."""
    for field, text in (("id_username", "admin"), ("id_password", password)):
        browser.find_element(By.ID, field).send_keys(text)
    browser.find_element(By.ID, "loginBtn").click()
