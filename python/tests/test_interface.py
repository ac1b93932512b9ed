"""What is promised, row by row: each statement is a case here, and names the test that holds azolla to it.

`file::name` is a test, or a program of `test_same_as_dask.py`; `example:name` is an example in the documentation, which
`test_docs.py` runs. What is not promised yet has no row.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from test_docs import EXAMPLES

HERE = Path(__file__).parent

#: By the rows of the interface: what is promised, and where that is tested.
PROMISED: dict[str, dict[str, str]] = {
    "Client()": {
        "no address: a cluster of its own, closed with the client": "test_client::test_its_threads_end_with_it",
        "n_workers and threads_per_worker": "test_client::test_its_size",
        "memory_limit, and arguments that are wrong": "test_cluster::test_arguments",
        "dashboard_address": "test_dashboard::test_the_link_is_shown",
        "timeout, and what is so in any case": "test_client::test_arguments_that_ask_for_what_is_so_anyway",
        "set_as_default, as_current, current": "test_client::test_one_that_is_not_to_be_the_default",
        "the latest open one is current": "test_client::test_the_latest_open_one_is_current",
        "current is each thread's own": "test_client::test_current_is_each_threads_own",
        "a context manager": "test_client::test_a_context_manager",
        "an async context manager": "test_asynchronous::test_a_context_manager",
        "awaitable": "test_asynchronous::test_awaited_and_closed",
        "asynchronous: every method gives an awaitable": "test_asynchronous::test_everything_is_awaited",
        "asynchronous: only where a loop runs": "test_asynchronous_threads::test_in_a_plain_task",
        "loop": "test_await::test_the_clients_own_loop",
        "sync": "test_await::test_sync",
        "scheduler_info, nthreads, ncores, repr and HTML": "test_client::test_what_it_says_of_itself",
        "a LocalCluster made apart": "test_cluster::test_a_cluster_outlives_its_clients",
        "a second client joins by the cluster": "test_cluster::test_clients_of_one_cluster_share_keys",
        "a second client joins by the address": "test_cluster::test_by_address",
        "submitting after close": "test_errors::test_a_closed_client",
        "HTML is escaped": "test_client::test_html_is_escaped",
    },
    "submit": {
        "pure keys begin with the name": "test_submit::test_keys_begin_with_the_functions_name",
        "pure keys hash function, arguments, keywords": "test_token::test_arguments_are_told_apart_by_place_and_name",
        "impure keys are unique": "test_submit::test_impure_calls_run_each_time",
        "a live key gives the old task": "test_submit::test_a_live_key_gives_the_old_task_whatever_the_function",
        "two futures of one key are not equal": "test_future::test_it_is_equal_to_itself_alone",
        "retries": "test_retry::test_no_more_often_than_told",
        "priority=None inherits": "test_priority::test_children_inherit",
        "fifo_timeout is taken": "test_submit::test_keywords_of_submit_itself_do_not_reach_the_function",
        "allow_other_workers needs workers": "test_same_as_dask::other_workers_need_workers",
        "the first argument must be callable": "test_same_as_dask::a_function_must_be_callable",
        "annotations count": "test_annotations::test_a_noted_priority_and_retries_count",
    },
    "map": {
        "zips to the shortest": "test_map::test_several_iterables_are_zipped_to_the_shortest",
        "duplicate pure inputs give the same future": "test_map::test_duplicate_pure_inputs_give_the_same_future",
        "lists of futures": "test_map::test_futures_as_items_and_keywords",
        "iterators and generators": "test_map::test_iterators_and_generators",
        "batch_size": "test_map::test_items_are_drawn_a_batch_at_a_time",
        "a list of keys": "test_map::test_a_list_of_keys",
        "a prefix of keys": "test_map::test_a_prefix_begins_the_keys",
        "keywords go to every call": "test_map::test_keywords_go_to_every_call",
        "priority": "test_priority::test_map_gives_it_to_each",
        "retries": "test_retry::test_map_retries_each",
    },
    "gather": {
        "nested containers": "test_gather::test_nested_containers",
        "what is no future passes through": "test_gather::test_what_is_no_future_passes_through",
        "skip drops in lists, nested ones too": "test_gather::test_skip_leaves_the_failed_out_of_lists",
        "skip puts None elsewhere": "test_gather::test_skip_puts_none_elsewhere",
        "asynchronous": "test_await::test_gather_is_awaitable_on_request",
        "other modes are refused": "test_gather::test_bad_errors",
    },
    "scatter": {
        "list, tuple and set fan out": "test_scatter::test_lists_tuples_and_sets_fan_out",
        "a dictionary's keys become keys": "test_scatter::test_a_dictionarys_keys_become_the_futures",
        "anything else is one value": "test_scatter::test_anything_else_is_one_value",
        "hash": "test_scatter::test_equal_data_shares_a_key_unless_told_not_to",
        "broadcast and direct": "test_scatter::test_broadcast_and_direct_are_taken",
    },
    "cancel": {
        "queued work never runs": "test_cancel::test_queued_work_never_runs",
        "dependents are cancelled": "test_cancel::test_dependents_are_cancelled",
        "work wanted elsewhere goes on": "test_cancel::test_an_input_wanted_elsewhere_goes_on",
    },
    "retry, compute, persist, get": {
        "retry": "test_retry::test_the_client_retries_many",
        "get is a scheduler": "test_collections::test_it_runs_on_the_clients_workers",
        "compute": "test_collections::test_compute_gives_futures",
        "persist": "test_collections::test_persist_keeps_the_parts",
        "arrays": "test_collections::test_an_array_reduction",
        "dataframes": "test_collections::test_a_dataframe_group_by",
        "delayed": "test_collections::test_a_delayed_tree",
        "xarray": "test_collections::test_xarray",
        "the order is dask.order's": "test_collections::test_tasks_begin_in_dasks_order",
    },
    "get_executor": {
        "real futures": "test_executor::test_futures_are_those_of_the_standard_library",
        "closing the map cancels the rest": "test_executor::test_closing_the_map_iterator_cancels_the_rest",
        "CPython's own tests": "test_executor::test_cpythons_own_tests_pass",
    },
    "datasets": {
        "published, listed, taken back": "test_datasets::test_as_a_mapping",
        "a taken name": "test_datasets::test_a_name_that_is_taken",
        "held though the client leaves": "test_datasets::test_a_published_future_is_held_after_its_client_has_left",
    },
    "introspection": {
        "who_has, has_what, processing, call_stack": "test_everywhere::test_what_there_is_to_see",
        "coroutine tasks are seen": "test_everywhere::test_coroutine_tasks_are_seen",
        "seceded tasks are seen": "test_everywhere::test_a_seceded_task_is_being_processed",
        "nbytes": "test_everywhere::test_how_large_results_are",
        "story": "test_story::test_a_task_that_succeeds",
        "story makes nothing up": "test_story::test_what_was_not_recorded_is_not_made_up",
        "get_events, log_event": "test_metadata::test_events_of_several_topics",
        "get_metadata, set_metadata": "test_metadata::test_nested_metadata",
        "profile": "test_profile::test_where_tasks_spend_their_time",
        "get_task_stream": "test_task_stream::test_every_run_is_there",
        "get_versions, get_worker_logs": "test_everywhere::test_what_one_process_cannot_answer",
        "what is refused says why": "test_compatibility::test_what_is_refused_says_why",
        "nothing is recorded unasked": "test_task_stream::test_nothing_is_recorded_unless_it_is_asked_for",
    },
    "run, restart, close and the like": {
        "run": "test_everywhere::test_run_is_once_for_each_worker",
        "restart": "test_everywhere::test_restart_cancels_everything",
        "shutdown": "test_cluster::test_shutdown_of_a_guest_closes_the_cluster",
        "close": "test_client::test_closing_leaves_what_runs_to_itself",
        "wait_for_workers": "test_everywhere::test_waiting_for_workers",
        "upload_file": "test_everywhere::test_a_module_is_uploaded",
        "register_plugin": "test_everywhere::test_a_plugin",
        "retire_workers": "test_everywhere::test_what_one_process_cannot_answer",
    },
    "Future": {
        "status, done, type": "test_future::test_status_done_and_type",
        "result, exception, traceback": "test_future::test_result_exception_and_traceback",
        "client": "test_future::test_the_client",
        "cancelled": "test_cancel::test_what_a_cancelled_future_says",
        "retry": "test_retry::test_a_failed_future_is_retried_by_hand",
        "lost": "test_future::test_a_key_that_is_not_there_is_lost",
        "running is in the repr": "test_future::test_repr",
        "HTML": "test_future::test_html_is_escaped",
        "counted: the last one lets go": "test_future::test_releasing_one_of_two_keeps_the_task",
        "counted per client": "test_cluster::test_released_by_one_and_kept_by_the_other",
        "a released one reads cancelled": "test_future::test_a_released_future_reads_cancelled",
        "the task's own exception": "test_errors::test_the_very_exception_is_raised_each_time",
        "its traceback": "test_errors::test_the_traceback_is_the_tasks_and_does_not_grow",
        "dependents raise the same": "test_submit::test_a_failed_input_fails_its_dependents_with_the_same_error",
        "the builtin TimeoutError": "test_future::test_timeouts",
        "exception() is None on success": "test_same_as_dask::a_success_has_no_exception",
        "callbacks on errors": "test_callback::test_on_an_error",
        "callbacks on cancellation": "test_callback::test_on_a_cancellation",
        "callbacks off the caller's thread": "test_callback::test_called_with_the_future_off_the_callers_thread",
        "await on any loop": "test_await::test_a_result",
        "pickles by key, bound to the current client": "test_pickle::test_bound_to_the_current_client",
        "unpickled in a task": "test_pickle::test_in_a_task_bound_to_the_client_that_runs_it",
        "unpickled with no client": "test_pickle::test_with_no_client_it_has_no_status",
        "unknown arguments of a Client": "test_errors::test_arguments_of_a_client",
        "one as_completed shared by threads": "test_as_completed::test_threads_share_one",
        "resolved in containers and keywords": "test_submit::test_futures_are_resolved_in_containers",
        "not in keys and other objects": "test_submit::test_futures_are_not_resolved_in_keys_and_other_objects",
        "in dataclasses": "test_same_as_dask::dataclasses_hold_futures",
    },
    "as_completed": {
        "the same objects": "test_as_completed::test_the_very_objects_that_went_in_come_out",
        "added N times, yielded N times": "test_as_completed::test_added_several_times_yielded_as_often",
        "the failed and cancelled are yielded": "test_as_completed::test_the_failed_and_the_cancelled_are_yielded",
        "with_results raises": "test_as_completed::test_with_results_raises_a_failure_and_goes_on",
        "raise_errors=False": "test_as_completed::test_with_results_and_without_raising",
        "the time-out counts from construction": "test_as_completed::test_the_timeout_counts_from_construction",
        "usable again": "test_as_completed::test_usable_again_after_its_end",
        "adding during iteration": "test_as_completed::test_adding_during_iteration",
        "count, has_ready, is_empty": "test_as_completed::test_count_has_ready_is_empty",
        "batches, next_batch": "test_as_completed::test_batches",
        "clear": "test_as_completed::test_clear",
        "async iteration": "test_as_completed::test_async_iteration_on_any_loop",
    },
    "wait": {
        "for all": "test_wait::test_for_all",
        "for the first": "test_wait::test_for_the_first",
        "a time-out raises": "test_wait::test_a_timeout_raises",
        "a failed task does not raise": "test_wait::test_a_failed_task_does_not_raise",
        "a cancelled one does": "test_wait::test_a_cancelled_one_raises",
    },
    "fire_and_forget": {
        "runs to its end": "test_fire_and_forget::test_it_runs_to_its_end",
        "the result is not kept": "test_fire_and_forget::test_the_result_is_not_kept",
    },
    "get_client and get_worker": {
        "in a task the one that runs it": "test_in_tasks::test_the_client_is_the_one_that_runs_the_task",
        "outside the current one": "test_in_tasks::test_outside_tasks_it_is_the_current_one",
        "none": "test_in_tasks::test_with_none_open",
        "get_worker in a task": "test_in_tasks::test_the_worker",
        "get_worker outside": "test_in_tasks::test_outside_tasks_there_is_no_worker",
    },
    "secede, rejoin, worker_client": {
        "another takes over": "test_secede::test_the_slot_goes_to_another",
        "rejoin comes before queued tasks": "test_secede::test_rejoin_waits_for_a_slot_and_comes_before_queued_tasks",
        "twice": "test_secede::test_a_second_time_they_do_nothing",
        "outside a task": "test_secede::test_outside_a_task",
        "worker_client": "test_progress::test_worker_client_takes_no_slot_and_nests",
    },
    "waiting inside a task": {
        "takes no slot": "test_waiting::test_nested_waits_need_no_slot",
        "a cycle is an error": "test_waiting::test_two_tasks_that_wait_for_each_other",
        "a task that waits for itself": "test_waiting::test_a_task_that_waits_for_itself",
        "as_completed": "test_as_completed::test_inside_a_task",
        "wait": "test_wait::test_in_a_task",
    },
    "progress": {
        "in a console": "test_progress::test_the_consoles_bar_ends_when_the_futures_have",
        "in a notebook": "test_progress::test_a_notebook_has_a_bar_for_each_name",
        "complete": "test_progress::test_what_had_ended_may_be_left_out",
        "group_by": "test_progress::test_groups_are_named_by_a_function_of_the_key",
    },
    "other functions": {
        "futures_of": "example:azolla._client.functions.futures_of",
        "get_task_stream": "test_task_stream::test_what_tasks_grow_is_there_too",
        "get_task_metadata": "test_task_stream::test_metadata_of_what_was_submitted_within",
        "performance_report": "test_page::test_the_report_is_one_file",
        "span": "test_annotations::test_spans",
        "print and warn": "test_progress::test_tasks_print_and_warn",
        "Reschedule": "test_same_as_dask::rescheduled_tasks_run_again",
    },
    "Queue": {
        "first in, first out": "test_sharing::test_a_queue_is_first_in_first_out",
        "holds futures": "test_sharing::test_a_queue_keeps_the_results_of_its_futures",
        "get(batch=)": "test_sharing::test_what_a_batch_had_got_is_in_the_queue_again",
        "time-outs": "test_sharing::test_timeouts",
        "data": "test_sharing::test_objects_come_out_as_they_went_in",
    },
    "Variable": {"a new future each": "test_sharing::test_a_variable_gives_each_a_future_of_its_own"},
    "Lock, Semaphore, Event, MultiLock": {
        "one at a time": "test_sharing::test_a_lock_is_held_by_one_task_at_a_time",
        "in the order of waiting": "test_sharing::test_a_lock_is_handed_over_in_the_order_of_waiting",
        "leases never run out under a live holder": "test_sharing::test_leases_go_with_the_object_that_has_them",
        "over-release raises": "test_sharing::test_releases_are_the_holders",
        "async with": "test_sharing::test_async_with_works_on_any_loop",
        "Event.wait": "test_sharing::test_an_event_sends_on_all_who_wait",
        "waiting takes no slot": "test_sharing::test_a_task_that_waits_takes_no_slot",
    },
    "actors": {
        "methods return ActorFutures": "test_actors::test_methods_give_actor_futures",
        "calls run in order": "test_actors::test_calls_run_in_their_order",
        "one at a time": "test_actors::test_one_call_at_a_time_whoever_calls",
        "state stays, and attributes are read": "test_actors::test_attributes_are_read_as_they_are",
        "errors": "test_actors::test_errors_are_the_calls_alone",
        "one that cannot be made": "test_actors::test_one_that_cannot_be_made_fails_its_future",
        "one that is gone says so": "test_actors::test_one_that_is_gone_says_so",
        "waiting takes no slot": "test_actors::test_waits_take_no_slot",
        "one that waits for itself is told": "test_actors::test_an_actor_that_waits_for_itself_is_told",
        "as with Dask": "test_same_as_dask::what_an_actor_does",
    },
    "workers= and resources=": {
        "by name or address": "test_resources::test_tasks_run_on_the_workers_that_they_name_by_name_or_address",
        "no more than there is": "test_resources::test_no_more_run_at_once_than_there_are_resources_for",
        "allow_other_workers is a wish": "test_resources::test_other_workers_run_what_only_wishes_for_one_that_is_busy",
        "what cannot run stays pending": "test_resources::test_what_no_worker_can_run_stays_pending_and_is_told_once",
        "a wait that they make endless": (
            "test_resources::test_a_task_that_waits_for_what_needs_its_own_resources_is_told_so"
        ),
        "as with Dask": "test_same_as_dask::workers_and_resources",
    },
    "priority": {
        "higher first, then first come": "test_priority::test_higher_first_then_first_come",
        "older roots first": "test_priority::test_what_an_older_root_grew_comes_before_newer_roots",
        "children inherit, at every level": "test_priority::test_grandchildren_inherit_too",
        "it holds": "test_priority::test_no_task_begins_while_one_of_higher_priority_is_ready",
    },
    "what users of Dask ask for": {
        "nested submits without deadlock": "test_waiting::test_fibonacci_by_8361_tasks",
        "tasks that return a future": "test_submit::test_a_function_that_returns_a_future_gives_the_future",
        "tasks that are coroutines": "test_coroutine::test_a_thousand_wait_at_once_on_two_slots",
        "memory that comes back": "test_future::test_results_go_with_their_futures",
        "as_completed never hangs": "test_as_completed::test_threads_that_wait_for_the_last_one_all_end",
        "errors name the task": "test_errors::test_the_key_is_noted_once",
        "a future awaited on any loop": "test_await::test_with_asyncios_own_tools",
    },
}

CASES = [(row, statement, where) for row, told in PROMISED.items() for statement, where in told.items()]


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("row", "statement", "where"), CASES, ids=[f"{row}: {said}" for row, said, _ in CASES])
def test_a_test_holds_azolla_to_it(row: str, statement: str, where: str) -> None:
    if where.startswith("example:"):
        assert where.removeprefix("example:") in EXAMPLES
        return
    file, name = where.split("::")
    assert name in functions(file)
    assert name.startswith("test_") != (file == "test_same_as_dask")
