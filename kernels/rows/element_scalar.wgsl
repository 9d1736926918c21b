// How row kernels read memory for any d: one number at a time. rows/element_vector.wgsl takes its place where d is
// a multiple of 4.

alias Element = f32;

const ELEMENT_WIDTH: u32 = 1u;

fn elementSum(element: Element) -> f32 {
  return element;
}
