/**
 * Memory that lives as long as the process, and from which much is written. Code that writes by address may remember the address of such
 * memory, instead of copying from it.
 */

/** All such buffers: few enough to look through them. */
export const lastingBuffers: Buffer[] = []

export function allocateLasting(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  lastingBuffers.push(buffer)
  return buffer
}
