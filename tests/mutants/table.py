"""The planted faults: signs, constants, comparisons, dropped terms, axes, order of calls.

Each is one piece of text in one file of `src/flowsim`, and the tests that should notice it. A fault that changes no
result, or the last digit only, proves nothing and is not listed.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A fault. **Fields:** `tests`: as pytest takes them, below `tests/`; a part after a space selects by `-k`."""

    file: str
    old: str
    new: str
    tests: str


_INSIDE = "dense_output.py::test_rows_inside_the_first_step"
_ORACLE = "oracles.py"

MUTANTS = tuple(Mutant(*row) for row in (
    # The loop.
    ("simulation/inside.py", "for k in (0, 1)]", "for k in (0, 0)]", f"{_INSIDE} dop853"),
    ("simulation/inside.py", "k + 1, jax.tree.map(lambda r, x: r.at[count]", "k + 1, jax.tree.map(lambda r, x: r.at[0]",
     "laws.py::test_saved_times_do_not_change_the_steps"),
    ("simulation/inside.py", "signs, new), may & ~vague", "signs, new), may",
     "events.py::test_what_converges_to_zero_does_not_cross_it_for_ever"),
    ("simulation/advance.py", "size = jnp.where(last, remaining, carry.step)", "size = carry.step",
     "laws.py::test_linear_flow_is_the_matrix_exponential"),
    ("simulation/advance.py", "+ 2 * (method.controller is not None)", "+ (method.controller is not None)",
     "laws.py::test_dense_output_is_paid_for_where_it_is_read"),
    ("simulation/advance.py", "rejected=carry.rejected + ~tried.accept", "rejected=carry.rejected",
     "status.py::test_the_step_limit_counts_refused_steps_of_all_chunks"),
    ("simulation/advance.py", "jnp.where(off, carry.step, tried.next_size)", "tried.next_size",
     "laws.py::test_saved_times_do_not_change_the_steps"),
    ("simulation/carry.py", "error = (self.high - (high - part)) + (step - part)",
     "error = (self.high - (high - part)) - (step - part)", "clock.py"),
    ("simulation/carry.py", "+ (other.low - self.low)", "- (other.low - self.low)", "clock.py"),
    ("simulation/march.py", "self._max_steps - int(carry.steps) - int(carry.rejected))",
     "self._max_steps - int(carry.steps))", "status.py::test_the_step_limit_counts_refused_steps_of_all_chunks"),
    ("simulation/march.py", "kept = times < crossing.time - instant", "kept = times <= crossing.time",
     "events.py::test_a_save_time_at_a_terminal_event_gets_one_row"),
    ("simulation/march.py", "carry.saved - int(np.sum(~kept))", "carry.saved", "staged.py::test_stages_switch"),
    ("simulation/march.py", "other.time <= crossing.time + instant", "other.time < crossing.time - instant",
     "events.py::test_events_at_the_instant_of_a_terminal_one_are_kept"),
    ("simulation/roughness.py", "(size < 0.95 * before.size)", "(size > 0.95 * before.size)",
     "premises.py::test_a_kink_that_is_passed_withholds_the_bound"),
    ("simulation/blow_up.py", "left = lifetime / power", "left = lifetime * power",
     "premises.py::test_the_time_to_a_blow_up_is_known_before_it"),
    ("simulation/stiffness.py", "STIFF = 2.0", "STIFF = 200.0",
     "auto.py::test_a_stiff_flow_changes_hands_and_is_cheaper"),
    # Events.
    ("simulation/refine.py", '(direction > 0) == (wanted == "up")', '(direction > 0) != (wanted == "up")',
     "events.py::test_directions"),
    ("simulation/refine.py", "if value(middle) > 0 else", "if value(middle) < 0 else",
     "events.py::test_a_jump_is_the_flows_not_the_interpolants"),
    ("simulation/refine.py", "candidate.slope / step.size if candidate.smooth", "candidate.slope if candidate.smooth",
     "events.py::test_the_slope_of_a_crossing_is_the_events_rate"),
    ("events/scan.py", "-self.sign * beyond > floor", "self.sign * beyond > floor",
     "events.py::test_events_at_the_very_end"),
    ("events/scan.py", "decided = np.flatnonzero(np.abs(path) > floor)", "decided = np.flatnonzero(np.abs(path) >= 0)",
     "events.py::test_below_what_rounding_leaves_a_sign_means_nothing"),
    ("events/exclude.py", "margin = remainder + between", "margin = between - remainder",
     "events.py::test_what_its_polynomial_leaves_out_excludes_no_crossing"),
    ("events/exclude.py", "_CERTAIN = 8.0", "_CERTAIN = 0.0", "events.py::test_what_converges_to_zero"),
    # Solvers.
    ("solvers/dop853.py", "x, 1 - x, x, 1 - x, x, 1 - x, x]", "x, 1 - x, x, 1 - x, x, 1 - x, 1 - x]",
     "dense_output.py::test_order_of_the_dense_output dop853"),
    ("solvers/dop853.py", "0.01 * third**2", "0.1 * third**2", "dense_output.py::test_error_estimate_is_scipys"),
    ("solvers/stabilized.py", "0.8 * (y0 - y1) + 0.4 * h", "0.4 * (y0 - y1) + 0.4 * h",
     "stabilized.py::test_error_estimate_is_of_third_order"),
    ("solvers/stabilized.py", "+ 4 * newer[1] - older[2]", "+ 2 * newer[1] - older[2]",
     "stabilized.py::test_recurrences_are_those_of_the_chebyshev_polynomials"),
    ("solvers/exponential.py", "correction = 2 * _scaled(curved, h, 3)[0]", "correction = _scaled(curved, h, 3)[0]",
     "order.py::test_order_of_convergence[exponential]"),
    ("solvers/exponential.py", "square = (s / (self.t1 - self.t0)) ** 2", "square = s / (self.t1 - self.t0)",
     "dense_output.py::test_inside_one_exponential_step_the_error_is_of_the_steps_order"),
    ("solvers/krylov.py", "closed = (closed - 1 / math.factorial(j)) / far", "closed = (closed - 1 / j) / far",
     "exponential.py::test_phi"),
    ("solvers/krylov.py", "found = found + self.extra", "found = found - self.extra",
     "exponential.py::test_integrals_ride_along"),
    ("solvers/lean.py", "-h * x**2 * (1 - x)", "h * x**2 * (1 - x)",
     "lean.py::test_dense_output_is_exact_for_quartics"),
    ("solvers/lean.py", "1107026461565 / 5417078080134", "1107026461565 / 5417078080143",
     "lean.py::test_order_conditions"),
    ("solvers/spectrum.py", "jnp.abs(radius - before) > allowed * radius",
     "jnp.abs(radius - before) < allowed * radius",
     "auto.py::test_the_curvature_is_the_hessian_s"),
    # Linear algebra.
    ("linalg/lanczos.py", "- along * here - back * before", "- along * here + back * before",
     "spectra.py::test_three_terms_are_enough_without_orthogonalization"),
    ("linalg/spectra.py", "space.size - 1, axis=0))", "space.size - 1, axis=1))", "spectra.py::test_error_bounds"),
    ("linalg/spectra.py", "vectors[0] ** 2", "jnp.abs(vectors[0])", "spectra.py::test_quadrature"),
    # Certificates.
    ("certificate/bounds.py", "SAFETY = 4.0", "SAFETY = 0.5", "certificate.py::test_two_kinds_of_evidence[solver]"),
    ("certificate/bounds.py", "scale = np.max(np.abs(values), axis=0", "scale = np.min(np.abs(values), axis=0",
     "dense_output.py::test_a_bands_rounding_part_follows_the_curves_size"),
    ("certificate/bounds.py", "size=max(_NEIGHBORS, common // _SHARE)", "size=1",
     "dense_output.py::test_a_band_answers"),
    ("certificate/certify.py", "rtol = max(rtol / factor,", "rtol = max(rtol * factor,",
     "certificate.py::test_the_second_integration_is_tighter"),
    ("certificate/premises.py", "and not second.ok:", "and second.ok:", "premises.py::test_smooth_activations"),
    # Problem, losses, flows, reductions, descent.
    ("losses.py", "return (prediction - label) ** 2 / 2", "return (prediction - label) ** 2", f"{_ORACLE} deep_linear"),
    ("problem/problem.py", "jnp.where(right, -jnp.inf, predictions)", "jnp.where(right, predictions, predictions)",
     "kinds.py::test_cross_entropy_and_its_margins"),
    ("models/attention.py", "raw / jnp.sqrt(self.W_V.shape[0])", "raw / jnp.sqrt(self.W_V.shape[1])",
     f"{_ORACLE} two_layers"),
    ("flows/adjusted.py", "v - self.strength * x", "v + self.strength * x", "flows.py::test_weight_decay"),
    ("flows/adaptive.py", "weight = -jnp.expm1(-t / memory)", "weight = -jnp.expm1(-2 * t / memory)",
     "flows.py::test_adam_against_scipy"),
    ("reductions/gram.py", "-2 * s * (z.G @ dG)", "-s * (z.G @ dG)", "reductions.py::test_gram_is_the_push_forward"),
    ("reductions/factored.py", "jnp.asarray(np.argsort(np.concatenate([moving, rest])), jnp.int32)",
     "jnp.asarray(np.concatenate([moving, rest]), jnp.int32)", "reductions.py::test_reductions_are_isometric"),
    ("descent/track.py", "times = self._record * self._step_time", "times = (self._record + 1) * self._step_time",
     "descent.py::test_rows_stand_at_their_own_steps"),
    # Probes and claims.
    ("probes/heads.py", "jnp.mean(entropy, axis=(0, 3))", "jnp.max(entropy, axis=(0, 3))", f"{_ORACLE} two_layers"),
    ("probes/heads.py", "return jnp.exp(-jnp.sum(share", "return jnp.exp(jnp.sum(share", f"{_ORACLE} two_layers"),
    ("probes/words.py", '"nkq,nka,nqb->ab"', '"nkq,nka,nqb->ba"', f"{_ORACLE} papers_model"),
    ("probes/theory.py", "-half + jnp.sqrt(half**2 - last)", "half + jnp.sqrt(half**2 - last)",
     f"{_ORACLE} papers_model"),
    ("probes/attention.py", "jnp.maximum(self.wanted, 0)[:, None, None, :], axis=2)",
     "jnp.maximum(self.wanted - 1, 0)[:, None, None, :], axis=2)", "probes.py::test_induction_score"),
    ("claims/yang2024/phase1.py", "evidence.readout_scale / evidence.neurons", "evidence.readout_scale",
     "theory.py::test_drifts_are_over_the_typical_initial_diagonal"),
    # Store and schema.
    ("_files.py", "        _sync(temporary, os.O_RDWR)\n        os.replace(temporary, path)\n",
     "        os.replace(temporary, path)\n        _sync(path, os.O_RDWR)\n", "run_folder.py::test_write_sync_rename"),
    ("store/segments.py", "    if not _arrays.says(about, wanted):", "    if not _arrays.says(about, {}):",
     "run_folder.py::test_a_segment_in_the_place_of_another"),
    ("config/kinds/event.py", "epsilon: Annotated[float, Field(gt=0, lt=1)]",
     "epsilon: Annotated[float, Field(ge=0, lt=1)]", "config_defaults.py::test_attention_moves"),
    ("config/base.py", "Positive = Annotated[float, Field(gt=0)]", "Positive = Annotated[float, Field(ge=0)]",
     "config_schema.py::test_wrong_values"),
))  # fmt: skip
