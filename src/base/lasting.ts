/**
 * Memory that lives as long as the process and out of which much is written: who writes by address may remember where it lies, in place
 * of copying from it.
 */

/** All of it: a few, so that one may look through them. */
export const lastingBuffers: Buffer[] = []

export function allocateLasting(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  lastingBuffers.push(buffer)
  return buffer
}
