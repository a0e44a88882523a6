/** How much memory this process gives to new objects; for the programs that serve clients. */

import { setFlagsFromString } from 'node:v8'

/**
 * From now on the space for new objects grows no more. While a program is loaded it comes to some 4 MiB for each of its two halves. V8
 * would make them four times as large when thousands of clients come, since sessions survive, and would not give that back; what
 * transactions leave is little, and soon cleared. V8 still reads at this moment how fast they grow; not how large they may become.
 */
export function keepYoungGenerationAsItIs(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
