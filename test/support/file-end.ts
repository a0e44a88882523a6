/** Cleanup of the test support at the end of each test file. Modules stay loaded for the next file, so that each registers its work once. */

const works: (() => Promise<void>)[] = []

/** Registers work for the end of each file. Work that was registered last runs first. */
export function onFileEnd(work: () => Promise<void>): void {
  works.unshift(work)
}

/** Called at the end of each file. */
export async function endFile(): Promise<void> {
  for (const work of works) await work()
}
