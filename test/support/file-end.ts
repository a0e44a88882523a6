/** What support for tests has to tidy up when a test file is done. Modules stay loaded for the next file, so that each says it once. */

const works: (() => Promise<void>)[] = []

/** Each time that a file is done, the last one that was said first. */
export function onFileEnd(work: () => Promise<void>): void {
  works.unshift(work)
}

/** Called when a file is done. */
export async function endFile(): Promise<void> {
  for (const work of works) await work()
}
