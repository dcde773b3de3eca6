"""python-tuf's named cases, one to one: each has a test here, or a reason why it has none.

The names are those of python-tuf's own suite, by file. What says NOT_OURS tests a part of
python-tuf that a station does not use.
"""

import ast
from pathlib import Path
from typing import Final

import pytest

NOT_OURS: Final = "-"
OF_THE_DOWNLOAD: Final = "tests/unit/staging/test_fetch_spool.py"
"""Bytes that are not those signed: whoever puts them on the disk compares their digest."""
CASES: Final[dict[str, dict[str, str]]] = {
    "test_updater_top_level_update.py": {
        "test_first_time_refresh": "test_first_refresh_keeps_what_was_trusted",
        "test_trusted_root_missing": "test_missing_first_root_is_named",
        "test_trusted_root_expired": "test_expired_root_is_refused_until_a_newer_one_comes",
        "test_trusted_root_unsigned": "test_unsigned_first_root_is_refused",
        "test_max_root_rotations": "test_more_roots_than_one_refresh_follows_take_several",
        "test_intermediate_root_incorrectly_signed": "test_unsigned_root_ends_the_chain",
        "test_intermediate_root_expired": "test_expired_root_in_between_does_not_matter",
        "test_final_root_incorrectly_signed": "test_unsigned_root_ends_the_chain",
        "test_new_root_same_version": "test_root_that_is_not_the_next_is_refused",
        "test_new_root_nonconsecutive_version": "test_root_that_is_not_the_next_is_refused",
        "test_final_root_expired": "test_expired_root_is_refused_until_a_newer_one_comes",
        "test_new_timestamp_unsigned": "test_unsigned_metadata_is_refused",
        "test_new_timestamp_version_rollback": "test_older_timestamp_is_refused",
        "test_new_timestamp_snapshot_rollback": (
            "test_timestamp_that_names_an_older_snapshot_is_refused"
        ),
        "test_new_timestamp_expired": "test_expired_metadata_is_refused",
        "test_new_timestamp_fast_forward_recovery": (
            "test_fast_forward_of_the_timestamp_is_undone_by_new_keys"
        ),
        "test_new_snapshot_hash_mismatch": "test_snapshot_with_other_hashes_is_refused",
        "test_new_snapshot_unsigned": "test_unsigned_metadata_is_refused",
        "test_new_snapshot_version_mismatch": (
            "test_other_snapshot_than_the_timestamp_names_is_refused"
        ),
        "test_new_snapshot_version_rollback": "test_older_snapshot_is_refused",
        "test_new_snapshot_fast_forward_recovery": (
            "test_fast_forward_of_the_snapshot_is_undone_by_new_keys"
        ),
        "test_new_snapshot_expired": "test_expired_metadata_is_refused",
        "test_new_targets_hash_mismatch": "test_targets_with_other_hashes_are_refused",
        "test_new_targets_unsigned": "test_unsigned_metadata_is_refused",
        "test_new_targets_version_mismatch": (
            "test_other_targets_than_the_snapshot_names_are_refused"
        ),
        "test_new_targets_expired": "test_expired_metadata_is_refused",
        "test_compute_metafile_hashes_length": "test_hashes_and_lengths_may_come_and_go",
        "test_new_targets_fast_forward_recovery": (
            "test_fast_forward_of_targets_is_undone_by_new_snapshot_keys"
        ),
        "test_not_loading_targets_twice": NOT_OURS,
        "test_snapshot_rollback_with_local_snapshot_hash_mismatch": (
            "test_snapshot_that_names_older_targets_is_refused"
        ),
        "test_load_metadata_from_cache": "test_unchanged_registry_costs_two_requests_and_no_write",
    },
    "test_trusted_metadata_set.py": {
        "test_update": "test_first_refresh_keeps_what_was_trusted",
        "test_update_metadata_output": NOT_OURS,
        "test_out_of_order_ops": NOT_OURS,
        "test_root_with_invalid_json": "test_no_role_takes_what_is_no_metadata",
        "test_top_level_md_with_invalid_json": "test_metadata_of_another_type_is_refused",
        "test_update_root_new_root": "test_root_rotation",
        "test_update_root_new_root_fail_threshold_verification": "test_root_rotation",
        "test_update_root_new_root_ver_same_as_trusted_root_ver": (
            "test_root_that_is_not_the_next_is_refused"
        ),
        "test_root_expired_final_root": "test_expired_root_is_refused_until_a_newer_one_comes",
        "test_update_timestamp_new_timestamp_ver_below_trusted_ver": (
            "test_older_timestamp_is_refused"
        ),
        "test_update_timestamp_snapshot_ver_below_current": (
            "test_timestamp_that_names_an_older_snapshot_is_refused"
        ),
        "test_update_timestamp_expired": ("test_frozen_registry_is_refused_though_it_was_trusted"),
        "test_update_snapshot_length_or_hash_mismatch": (
            "test_snapshot_with_other_hashes_is_refused"
        ),
        "test_update_snapshot_fail_threshold_verification": "test_rotation_of_other_keys",
        "test_update_snapshot_version_diverge_timestamp_snapshot_version": (
            "test_other_snapshot_than_the_timestamp_names_is_refused"
        ),
        "test_update_snapshot_file_removed_from_meta": (
            "test_snapshot_that_leaves_a_role_out_is_refused"
        ),
        "test_update_snapshot_meta_version_decreases": (
            "test_snapshot_that_names_older_targets_is_refused"
        ),
        "test_update_snapshot_expired_new_snapshot": "test_expired_metadata_is_refused",
        "test_update_snapshot_successful_rollback_checks": (
            "test_hashes_and_lengths_may_come_and_go"
        ),
    },
    "test_updater_key_rotations.py": {
        "test_root_rotation": "test_root_rotation",
        "test_non_root_rotations": "test_rotation_of_other_keys",
    },
    "test_updater_delegation_graphs.py": {
        "test_graph_traversal": "test_graph_traversal",
        "test_invalid_metadata": "test_unsigned_delegated_role_ends_the_search",
        "test_safely_encoded_rolenames": "test_role_names_are_encoded_safely",
        "test_hash_bins_graph_traversal": NOT_OURS,
    },
    "test_updater_fetch_target.py": {
        "test_fetch_target": "test_archive_is_what_was_signed",
        "test_download_targets_with_succinct_roles": NOT_OURS,
        "test_invalid_target_download": OF_THE_DOWNLOAD,
        "test_invalid_target_cache": NOT_OURS,
    },
    "test_updater_consistent_snapshot.py": {
        "test_top_level_roles_update": "test_unchanged_registry_costs_two_requests_and_no_write",
        "test_delegated_roles_update": "test_role_names_are_encoded_safely",
        "test_download_targets": "test_archive_is_what_was_signed",
    },
    "test_updater_validation.py": {
        "test_bootstrap_argument_required": "test_missing_first_root_is_named",
        "test_local_target_storage_fail": "test_full_disk_at_each_call_is_an_error_and_no_loss",
        "test_non_existing_metadata_dir": "test_trust_is_none_before_the_first_contact",
    },
    "the attacks of the specification, 1.5.2": {
        "arbitrary installation": "test_changed_version_breaks_the_signature",
        "endless data": "test_endless_metadata_ends_at_the_limit_of_its_role",
        "extraneous dependencies": NOT_OURS,
        "fast-forward": "test_version_that_nobody_reaches_is_refused",
        "indefinite freeze": "test_frozen_registry_is_refused_though_it_was_trusted",
        "malicious mirrors": "test_mirror_that_hides_a_known_root_gains_nothing",
        "mix and match": "test_mirror_of_mixed_ages_is_refused",
        "rollback": "test_timestamp_and_snapshot_guard_each_other",
        "slow retrieval": "test_dripping_metadata_ends_in_time",
        "key compromise": "test_key_that_is_revoked_signs_no_more",
        "wrong installation": "test_class_role_cannot_sign_for_another_class",
    },
}


def names_here() -> set[str]:
    """Return the names of all tests in this folder."""
    trees = [ast.parse(file.read_text("utf-8")) for file in Path(__file__).parent.glob("test_*.py")]
    return {
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("file", CASES)
def test_each_named_case_has_its_test(file: str) -> None:
    assert set(CASES[file].values()) - {NOT_OURS, OF_THE_DOWNLOAD} <= names_here()


def test_few_cases_are_not_ours() -> None:
    ours = [test for cases in CASES.values() for test in cases.values()]
    assert (len(ours), ours.count(NOT_OURS)) == (77, 7)
