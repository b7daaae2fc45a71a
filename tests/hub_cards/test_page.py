"""The HTML page of a run: complete in itself, and shown by a real browser without a word of complaint."""

import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from autobert_hf.cli import main
from autobert_hf.commands.report import report_command
from autobert_hf.hub_cards.card import is_ours
from autobert_hf.hub_cards.page import write_report
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.study import Study

from .conftest import own_space


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_report_writes_page_figures_and_card(full, undrawn, monkeypatch, capsys):
    monkeypatch.setattr("autobert_hf.hub_cards.page.draw_figures", lambda *data: [])
    assert report_command([str(full.folder)]) == 0
    assert "Model card: " in capsys.readouterr().out
    assert "Grade: plugin" in (full.folder / "model" / "README.md").read_text()
    page = (full.folder / "report" / "index.html").read_text()
    best = full.done[0]
    found = f"This network is trial {best.id}, held-out loss {best.scores['loss']:.4f} (nats per masked token, lower"
    assert found in re.sub(r"\s+", " ", page)
    assert "Of the candidates 3 failed and 2 were ended early." in page
    assert re.findall(r"""(?:src|href)=["']?(?!data:)[^"'>]+""", page) == []


def test_a_card_changed_by_hand_stays(made, undrawn, monkeypatch, capsys):
    monkeypatch.setattr("autobert_hf.hub_cards.page.draw_figures", lambda *data: [])
    report_command([str(made.folder)])
    card = made.folder / "model" / "README.md"
    card.write_text(card.read_text() + "\nMy own words.\n")
    assert report_command([str(made.folder)]) == 0
    assert "was changed by hand and stays as it is" in capsys.readouterr().out
    assert card.read_text().endswith("My own words.\n")
    card.unlink()
    report_command([str(made.folder)])
    assert is_ours(card)
    assert "My own words" not in card.read_text()


def test_a_search_that_goes_on_has_a_report(made, undrawn, monkeypatch, capsys):
    shutil.rmtree(made.folder / "model")
    monkeypatch.setattr("autobert_hf.hub_cards.page.draw_figures", lambda *data: [])
    assert report_command([str(made.folder)]) == 0
    assert "No model yet, so no card." in capsys.readouterr().out
    assert "Best candidates" in (made.folder / "report" / "index.html").read_text()


def test_no_run_is_one_sentence(tmp_path):
    with pytest.raises(RunError, match=r"holds no run\.json: is it the --output-dir of a run\?"):
        report_command([str(tmp_path)])


def test_a_users_own_space_and_function_have_a_report(tmp_path):
    """No layers to draw, nothing to plot the score against, no text, no model."""
    own_space(tmp_path)
    page = re.sub(r"\s+", " ", write_report(tmp_path).read_text())
    assert sorted(path.name for path in (tmp_path / "report").glob("*.png")) == ["search.png"]
    assert "Best so far is trial 4, accuracy 0.4000 (higher is better). Seed 3." in page
    assert "<code>depth 2</code> · <code>width 68</code></td>" in page
    assert "Final training" not in page


@pytest.fixture
def requests():
    """Hosts that a browser with this `proxy` asks for, but for those that Chromium asks on its own account."""
    hosts: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self):
            host = re.sub(r"^\w+://|[:/].*$", "", self.path)
            if not host.endswith((".google.com", ".googleapis.com", ".gvt1.com")):
                hosts.append(host)
            self.send_error(404)

        do_CONNECT = do_POST = do_GET

        def log_message(self, format, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hosts.append(f"127.0.0.1:{server.server_address[1]}")
        yield hosts
        server.shutdown()


def browse(page: Path, work: Path, requests: list[str]) -> tuple[list[str], list[str], Path]:
    """What the console said, which hosts were asked for, and a picture."""
    picture = work / "picture.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += [f"--proxy-server={requests[0]}", f"--user-data-dir={work / 'profile'}", "--window-size=800,2400"]
    command = [CHROMIUM, *options, f"--screenshot={picture}", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line], requests[1:], picture


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_in_a_browser(full, tmp_path, requests):
    full.settings["method"] = "<script>console.error('run')</script><img src=http://evil.example/x.png>"
    full.write()
    report_command([str(full.folder)])
    console, hosts, picture = browse(full.folder / "report" / "index.html", tmp_path, requests)
    assert console == []
    assert hosts == []
    with Image.open(picture) as image:
        assert image.size == (800, 2400)
        colours = {pixel for _, pixel in image.convert("RGB").getcolors(10**6)}
    assert {(0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)} <= colours  # the figures are there
    control = tmp_path / "control.html"
    control.write_text("<script>console.error('heard')</script><img src='http://evil.example/x.png'>")
    console, hosts, _ = browse(control, tmp_path, requests)
    assert len(console) == 1
    assert hosts == ["evil.example"]


def test_the_command_reads_the_journal_once(made, undrawn, monkeypatch):
    """Of a long search this takes most of its time and memory."""
    read, runs = Study.read, []
    monkeypatch.setattr(Study, "read", lambda run: runs.append(run) or read(run))
    assert main(["report", str(made.folder)]) == 0
    assert (made.folder / "model" / "README.md").exists()
    assert runs == [made.folder]
