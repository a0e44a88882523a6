/** Limits the memory that this process gives to new objects, for the programs that serve clients. */

import { setFlagsFromString } from 'node:v8'

/**
 * From now on, the space for new objects does not grow any more. While a program is loaded, it grows to some 4 MiB for each of its two
 * halves. When thousands of clients come, V8 would make it four times as large, since sessions survive, and would not give that back. But
 * transactions leave little behind, which is soon cleared. At this point V8 still reads the flag that says how fast the halves grow, but
 * not the one that says how large they may become.
 */
export function keepYoungGenerationAsItIs(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
