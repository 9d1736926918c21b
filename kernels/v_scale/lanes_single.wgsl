// How V-scale's kernels work on a row without subgroups: one invocation walks the whole row.
// v_scale/lanes_subgroup.wgsl takes its place where several lanes share it.

const LANES_PER_ROW: u32 = 1u;

fn rowTotal(summand: f32) -> f32 {
  return summand;
}
