// How row kernels read memory where d is a multiple of 4: four numbers at a time. Put in front of the kernels that say
// so; rows/element_scalar.wgsl takes its place for any other d.

alias Element = vec4f;

const ELEMENT_WIDTH: u32 = 4u;

fn elementSum(element: Element) -> f32 {
  return (element.x + element.y) + (element.z + element.w);
}
