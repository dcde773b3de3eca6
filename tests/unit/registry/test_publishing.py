"""A registry that is written: what is refused changes nothing, and what is lost can be replaced."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.registry_client import NAME, UnsyncedFileSystem
from tests.unit.registry.conftest import Shop, content_of
from tuf.api.metadata import Metadata, Root

from taktgate.bundle.errors import BundleError, DigestMismatchError, SignatureError
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.targets import ReleaseState
from taktgate.registry.commands.overview import overview
from taktgate.registry.errors import (
    DuplicateError,
    KeyFolderError,
    KeyMissingError,
    NoSuchBundleError,
    NoSuchRoleError,
    RegistryExistsError,
    ReportError,
    RoleFullError,
    SettingsFileError,
    TransitionError,
)
from taktgate.registry.signed.admission import admitted
from taktgate.registry.signed.publishing import Publisher, RootKeys
from taktgate.registry.signed.reports import Report
from taktgate.registry.signed.rotation import renew, rotate
from taktgate.registry.signed.settings import DaysValid, RegistrySettings
from taktgate.staging.registry.limits import RegistryLimits

S = ReleaseState
ROLES = ("root", "targets", "sources", "class.cpu", "snapshot", "timestamp")


def take_away(shop: Shop, *names: str) -> None:
    for name in names:
        (shop.keys / f"{name}.key.pem").unlink()


class TestInit:
    def test_an_existing_registry_is_refused(self, shop: Shop) -> None:
        before = content_of(shop.folder)
        with pytest.raises(RegistryExistsError):
            shop.publisher.init()
        assert content_of(shop.folder) == before

    def test_keys_of_another_registry_are_not_shared(self, shop: Shop) -> None:
        with pytest.raises(KeyFolderError):
            Publisher(shop.root / "other", keys=shop.keys).init()
        assert not (shop.root / "other").exists()

    @pytest.mark.parametrize(("count", "threshold"), [(2, 3), (0, 0), (3, 0)])
    def test_a_threshold_that_cannot_be_met_is_refused(self, count: int, threshold: int) -> None:
        with pytest.raises(ValueError, match="root keys"):
            RootKeys(count=count, threshold=threshold)

    def test_no_two_roles_share_a_key(self, shop: Shop) -> None:
        keys = [
            key.keyid
            for role in shop.publisher.files.roles()
            for key in shop.publisher.files.keys_of(role)
        ]
        assert len(set(keys)) == len(keys) == 7

    def test_expiries_are_those_that_were_asked_for(self, tmp_path: Path) -> None:
        its = Publisher(tmp_path / "registry", keys=tmp_path / "keys")
        days = DaysValid(root=100, targets=50, snapshot=20, timestamp=2)
        its.init(settings=RegistrySettings(days_valid=days))
        left = {line.role: line.expires - its.files.clock() for line in overview(its.files).roles}
        wanted = {"root": 100, "targets": 50, "sources": 50, "snapshot": 20, "timestamp": 2}
        for role, days_left in wanted.items():
            assert timedelta(days=days_left) - left[role] < timedelta(minutes=10)

    def test_a_bad_setting_is_named(self, shop: Shop) -> None:
        (shop.folder / "registry.json").write_text('{"days_valid": {"snapshot": 0}}')
        with pytest.raises(SettingsFileError, match=r"days_valid\.snapshot"):
            shop.add("1.0.0")


class TestAdd:
    def test_the_same_bytes_again_change_nothing(self, shop: Shop) -> None:
        shop.add("1.0.0")
        before = content_of(shop.folder)
        shop.add("1.0.0")
        assert content_of(shop.folder) == before

    def test_other_bytes_of_the_same_name_are_refused(self, shop: Shop) -> None:
        shop.add("1.0.0")
        before = content_of(shop.folder)
        with pytest.raises(DuplicateError):
            shop.add("1.0.0", licence="other")
        assert content_of(shop.folder) == before

    def test_a_bundle_of_a_foreign_key_is_refused(self, shop: Shop) -> None:
        bundle = shop.bundle("1.0.0")
        shop.trusted.write_bytes(SigningKey.generate().public_pem())
        with pytest.raises(SignatureError), admitted(bundle, TrustedKeys.load(shop.trusted)):
            pass

    def test_a_bundle_with_one_changed_byte_is_refused(self, shop: Shop) -> None:
        bundle = shop.bundle("1.0.0")
        whole = bundle.read_bytes()
        place = whole.index(b"no model")
        bundle.write_bytes(whole[:place] + b"N" + whole[place + 1 :])
        with pytest.raises(BundleError), admitted(bundle, TrustedKeys.load(shop.trusted)):
            pass

    def test_a_file_swapped_with_its_checksum_is_refused(self, shop: Shop) -> None:
        swapped = shop.bundle("1.0.0")
        import zipfile

        rebuilt = shop.root / "rebuilt.bundle"
        with zipfile.ZipFile(swapped) as source, zipfile.ZipFile(rebuilt, "w") as target:
            for info in source.infolist():
                data = source.read(info)
                if info.filename == "model.onnx":
                    data = data[::-1]
                plain = zipfile.ZipInfo(info.filename, info.date_time)
                plain.create_system, plain.external_attr = info.create_system, info.external_attr
                target.writestr(plain, data)
        with (
            pytest.raises(DigestMismatchError, match=r"model\.onnx"),
            admitted(rebuilt, TrustedKeys.load(shop.trusted)),
        ):
            pass

    @pytest.mark.parametrize("name", ["class.cpu-1", "snapshot-1", "timestamp-1"])
    def test_a_missing_key_is_named_before_anything_is_written(self, shop: Shop, name: str) -> None:
        shop.add("1.0.0")
        before = content_of(shop.folder)
        take_away(shop, name)
        with pytest.raises(KeyMissingError, match=name):
            shop.add("1.1.0")
        assert content_of(shop.folder) == before

    def test_a_second_command_waits_for_the_first(self, shop: Shop) -> None:
        shop.add("1.0.0")
        before = content_of(shop.folder)
        second = Publisher(shop.folder, keys=shop.keys, files=UnsyncedFileSystem())
        with ThreadPoolExecutor(1) as pool:
            with shop.publisher.files.held():
                done = pool.submit(second.promote, NAME, "1.0.0", "cpu", S.CI_PASSED)
                with pytest.raises(TimeoutError):
                    done.result(timeout=0.5)
                assert content_of(shop.folder) == before
            assert done.result().state is S.CI_PASSED

    def test_metadata_longer_than_stations_read_is_not_written(self, shop: Shop) -> None:
        shop.add("1.0.0")
        before, files = content_of(shop.folder), shop.publisher.files
        with (
            pytest.raises(RoleFullError, match=r"class\.cpu"),
            files.change(),
            files.edit_targets("class.cpu") as targets,
        ):
            targets.unrecognized_fields["padding"] = "x" * RegistryLimits().bytes_of("class.cpu")
        assert content_of(shop.folder) == before

    def test_what_too_few_keys_sign_is_not_written(self, shop: Shop) -> None:
        shop.add("1.0.0")
        before, files = content_of(shop.folder), shop.publisher.files
        take_away(shop, "class.cpu-1")
        files.look_again()
        with pytest.raises(KeyMissingError, match="0 at hand"), files.edit_targets("class.cpu"):
            pass
        assert content_of(shop.folder) == before

    def test_serials_rise_for_each_model(self, shop: Shop) -> None:
        for version in ("1.0.0", "2.0.0"):
            shop.add(version)
        shop.add("3.0.0", name="pores")
        found = {
            its.facts.version: its.facts.serial for its in overview(shop.publisher.files).bundles
        }
        assert found == {"1.0.0": 1, "2.0.0": 2, "3.0.0": 1}


class TestRelease:
    def test_a_hil_report_becomes_a_target_of_its_own(self, shop: Shop) -> None:
        shop.add("1.0.0")
        report = Report.parse(json.dumps({"passed": True, "p99_ms": 30}).encode())
        shop.publisher.promote(NAME, "1.0.0", "cpu", S.CI_PASSED)
        facts = shop.publisher.promote(NAME, "1.0.0", "cpu", S.HIL_PASSED, report=report)
        assert facts.hil_report == report.digest
        path = f"reports/cpu/{report.digest[7:]}.json"
        assert shop.client.refresh().get_targetinfo(path) is not None

    @pytest.mark.parametrize(
        "content", [b"{", b"[]", b"{}", b'{"passed": false}', b'{"passed": 1}']
    )
    def test_a_report_that_shows_nothing_is_refused(self, content: bytes) -> None:
        with pytest.raises(ReportError):
            Report.parse(content)

    def test_what_is_not_there_cannot_be_promoted(self, shop: Shop) -> None:
        with pytest.raises(NoSuchBundleError):
            shop.publisher.promote(NAME, "1.0.0", "cpu", S.CI_PASSED)
        shop.add("1.0.0")
        with pytest.raises(NoSuchBundleError):
            shop.publisher.promote(NAME, "9.0.0", "cpu", S.CI_PASSED)

    def test_a_floor_is_seen_by_stations(self, shop: Shop) -> None:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            shop.add(version)
        shop.publisher.promote(NAME, "2.0.0", "cpu", S.CI_PASSED)
        shop.publisher.promote(NAME, "2.0.0", "cpu", S.RELEASED, waiver="no rig")
        shop.publisher.floor(NAME, "2.0.0", "cpu")
        seen = {version: shop.client.state_of(version) for version in ("1.0.0", "2.0.0", "3.0.0")}
        assert seen == {"1.0.0": S.BELOW_FLOOR, "2.0.0": S.RELEASED, "3.0.0": S.REGISTERED}

    def test_what_is_not_released_is_no_floor_and_lowers_nothing(self, shop: Shop) -> None:
        for version in ("1.0.0", "2.0.0"):
            shop.add(version)
        with pytest.raises(TransitionError):
            shop.publisher.floor(NAME, "2.0.0", "cpu")
        assert shop.client.state_of("1.0.0") is S.REGISTERED


class TestKeys:
    @pytest.mark.parametrize("role", ROLES)
    def test_a_client_follows_a_rotation_and_the_old_key_signs_no_more(
        self, shop: Shop, role: str
    ) -> None:
        shop.add("1.0.0")
        shop.client.refresh()
        old = {key.keyid for key in shop.publisher.files.keys_of(role)}
        rotate(shop.publisher.files, role)
        new = {key.keyid for key in shop.publisher.files.keys_of(role)}
        assert not old & new
        shop.add("2.0.0")
        assert shop.client.state_of("2.0.0") is S.REGISTERED

    @pytest.mark.parametrize("role", [role for role in ROLES if role != "root"])
    def test_a_role_whose_key_is_lost_gets_a_new_one(self, shop: Shop, role: str) -> None:
        shop.add("1.0.0")
        shop.client.refresh()
        take_away(shop, f"{role}-1")
        rotate(shop.publisher.files, role)
        shop.add("2.0.0")
        assert shop.client.state_of("2.0.0") is S.REGISTERED

    def test_a_lost_root_key_is_replaced_by_the_other_two(self, shop: Shop) -> None:
        take_away(shop, "root-2")
        done = rotate(shop.publisher.files, "root", lost="root-2")
        assert (done.removed, done.added) == (("root-2",), ("root-4",))
        shop.client.refresh()
        root = Metadata[Root].from_file(str(shop.folder / "metadata/2.root.json")).signed
        assert len(root.roles["root"].keyids) == 3

    def test_two_lost_root_keys_are_one_too_many(self, shop: Shop) -> None:
        take_away(shop, "root-1", "root-2")
        before = content_of(shop.folder)
        with pytest.raises(KeyMissingError, match="2 of root-1, root-2, root-3"):
            rotate(shop.publisher.files, "root", lost="root-2")
        assert content_of(shop.folder) == before

    def test_root_keys_may_lie_on_sticks(self, shop: Shop) -> None:
        sticks = [shop.root / "stick-1", shop.root / "stick-2"]
        for number, stick in enumerate(sticks, start=1):
            stick.mkdir()
            shutil.move(shop.keys / f"root-{number}.key.pem", stick)
        (shop.keys / "root-3.key.pem").unlink()
        its = Publisher(shop.folder, keys=[shop.keys, *sticks])
        rotate(its.files, "root", lost="root-3")
        assert (shop.keys / "root-4.key.pem").exists()
        shop.client.refresh()

    @pytest.mark.parametrize("role", ["class.gpu", "mirror"])
    def test_an_unknown_role_is_named(self, shop: Shop, role: str) -> None:
        with pytest.raises(NoSuchRoleError, match=role):
            rotate(shop.publisher.files, role)

    def test_a_rotation_that_was_cut_off_goes_on_with_its_key(self, shop: Shop) -> None:
        files = shop.publisher.files
        new = files.keys.make("timestamp-2")
        with files.edit_root() as root:
            root.add_key(new, "timestamp")
        shop.client.refresh()
        assert rotate(files, "timestamp").added == ("timestamp-2",)
        assert [key.keyid for key in files.keys_of("timestamp")] == [new.keyid]
        shop.client.refresh()


class TestRenewal:
    def test_what_expires_is_renewed_by_the_keys_at_hand(self, shop: Shop) -> None:
        take_away(shop, "root-1", "root-2", "targets-1")
        done = renew(shop.publisher.files, within_days=400)
        assert set(done.missing) == {"root", "targets"}
        assert set(done.renewed) == {"sources", "snapshot", "timestamp"}
        shop.client.refresh()

    def test_nothing_is_due_at_once(self, shop: Shop) -> None:
        before = content_of(shop.folder)
        assert renew(shop.publisher.files).renewed == ()
        assert content_of(shop.folder) == before

    def test_an_expired_registry_is_repaired(self, shop: Shop) -> None:
        now = shop.publisher.files.clock()
        shop.publisher.files.clock = lambda: now - timedelta(days=8)
        renew(shop.publisher.files, ["timestamp"], within_days=100)
        shop.publisher.files.clock = lambda: now
        with pytest.raises(Exception, match="expired"):
            shop.client.refresh()
        assert renew(shop.publisher.files).renewed == ("timestamp",)
        shop.client.refresh()
