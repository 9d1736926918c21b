/** What the kernels that hold a row in registers are written for. */
export interface FusedRow {
  /** Elements of a row: d, or d / 4 where they are vectors. */
  readonly elements: number;
  /** Invocations of the workgroup that shares the row. */
  readonly lanes: number;
}
