"""Keys, sessions and codes: who made them, how long they hold, and what makes them void."""

import multiprocessing
from pathlib import Path

import pytest

from shared import auth
from shared.auth import Identity, Keyring, Secret
from shared.errors import NotAllowed, NotSignedIn


def make_keyring(folder: Path, bootstrap: str = "") -> Keyring:
    return Keyring(Secret(bootstrap, folder))


def test_an_issued_key_names_whom_it_was_issued_to_in_every_process(tmp_path: Path) -> None:
    identity, key = make_keyring(tmp_path).issue_key("owner app", ["source"], ["tower"], "wang")
    assert make_keyring(tmp_path).check_key(key) == identity
    assert identity.roles == {"source"}
    assert identity.properties == frozenset({"tower"})
    assert identity.actor == "wang"
    assert (
        make_keyring(tmp_path)
        .check_key(make_keyring(tmp_path).issue_key("a", ["admin"], None, None)[1])
        .may_see("anywhere")
    )


def test_a_key_that_was_changed_or_made_elsewhere_is_none(tmp_path: Path) -> None:
    ring = make_keyring(tmp_path / "here")
    _, key = ring.issue_key("app", ["source"], ["tower"], None)
    _, foreign = make_keyring(tmp_path / "there").issue_key("app", ["admin"], None, None)
    body, _, signature = key.rpartition(".")
    forged = [
        foreign,
        key[:-2],
        f"{body[:-1]}x.{signature}",
        key[3:],
        "",
        "gj_",
        "gj_.",
        "é",
        "gj_" + "x" * 9999,
    ]
    for word in [
        *forged,
        ring.issue_session(ring.check_key(key)),
        "gj_" + ring.issue_session(ring.check_key(key)),
    ]:
        with pytest.raises(NotSignedIn):
            ring.check_key(word)


def test_a_revoked_key_holds_no_more_nor_what_was_made_of_it(tmp_path: Path) -> None:
    ring = make_keyring(tmp_path)
    identity, key = ring.issue_key("app", ["source"], None, None)
    session, code = ring.issue_session(ring.check_key(key)), ring.issue_sign_in_code(identity)
    assert ring.check_session(session) == ring.check_sign_in_code(code) == identity
    ring.revoked_keys.add(identity.key)
    for check, word in (
        (ring.check_key, key),
        (ring.check_session, session),
        (ring.check_sign_in_code, code),
    ):
        with pytest.raises(NotSignedIn):
            check(word)


def test_sessions_and_codes_are_not_each_other_and_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = make_keyring(tmp_path)
    identity, _ = ring.issue_key("app", ["source"], None, None)
    session, code = ring.issue_session(identity), ring.issue_sign_in_code(identity)
    for check, word in ((ring.check_session, code), (ring.check_sign_in_code, session)):
        with pytest.raises(NotSignedIn):
            check(word)
    monkeypatch.setattr(auth, "SESSION_SECONDS", -1)
    monkeypatch.setattr(auth, "CODE_SECONDS", -1)
    for check, word in ((ring.check_session, session), (ring.check_sign_in_code, code)):
        with pytest.raises(NotSignedIn):
            check(word)


def test_the_bootstrap_key_is_an_administrator_and_nothing_like_it_is(tmp_path: Path) -> None:
    ring = make_keyring(tmp_path, "a-long-word")
    assert ring.check_key("a-long-word").has_role("dispatcher")
    assert not (tmp_path / "secret").exists()
    for word in ("a-long-wor", "a-long-word ", "A-LONG-WORD", ""):
        with pytest.raises(NotSignedIn):
            ring.check_key(word)
    with pytest.raises(NotSignedIn):
        make_keyring(tmp_path / "unset").check_key("")


def test_copies_with_the_same_bootstrap_key_know_each_others_keys(tmp_path: Path) -> None:
    identity, key = make_keyring(tmp_path / "one", "word").issue_key("app", ["source"], None, None)
    assert make_keyring(tmp_path / "two", "word").check_key(key) == identity


def test_a_bootstrap_key_that_is_set_later_keeps_the_old_keys_valid(tmp_path: Path) -> None:
    before = make_keyring(tmp_path)
    old, old_key = before.issue_key("app", ["source"], None, None)
    after = make_keyring(tmp_path, "word")
    assert after.check_key(old_key) == old
    assert after.check_session(before.issue_session(old)) == old
    new, new_key = after.issue_key("app", ["source"], None, None)
    assert after.check_key(new_key) == new
    with pytest.raises(NotSignedIn):
        before.check_key(new_key)


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first, again = Secret("", tmp_path), Secret("", tmp_path)
    assert first.is_new
    assert not again.is_new
    assert first.signing_keys == again.signing_keys
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def read_secret(folder: str) -> tuple[list[str], bool]:
    secret = Secret("", Path(folder))
    return secret.signing_keys, secret.is_new


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        with context.Pool(8) as pool:
            results = pool.map(read_secret, [str(tmp_path / str(attempt))] * 8, chunksize=1)
        assert len({tuple(keys) for keys, _ in results}) == 1
        assert sum(made for _, made in results) == 1
        assert all(len(key) == 64 for key in results[0][0])


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(RuntimeError):
        Secret("", tmp_path)


def test_a_links_token_is_the_same_for_the_same_and_only_for_it(tmp_path: Path) -> None:
    secret = Secret("", tmp_path)
    tokens = {secret.make_token(purpose, subject) for purpose in ("form", "page") for subject in ("1", "2")}
    assert len(tokens) == 4
    assert secret.make_token("form", "1") == Secret("", tmp_path).make_token("form", "1")
    assert all(len(word) == 32 for word in tokens)
    assert secret.make_token("form", "1") != Secret("", tmp_path / "other").make_token("form", "1")


def test_roles_and_properties_bound_what_a_caller_may() -> None:
    somebody = Identity(key="k", name="n", roles=frozenset({"engineer"}), properties=frozenset({"tower"}))
    assert somebody.has_role("engineer", "dispatcher")
    assert not somebody.has_role("dispatcher")
    assert not somebody.has_role()
    somebody.require_property("tower")
    with pytest.raises(NotAllowed):
        somebody.require_property("annex")
    nobody = Identity(key="k", name="n", roles=frozenset(), properties=frozenset())
    assert not nobody.may_see("tower")
