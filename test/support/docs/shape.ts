/** Checks that documents show what programs print, except for numbers and names that differ from run to run. */

import { expect } from 'vitest'

/** Expects each line that is shown to be among the printed ones. */
export function expectShown(shown: string, printed: string): void {
  const lines = shapeOf(printed).split('\n')
  for (const line of shapeOf(shown).split('\n')) if (line !== '') expect(lines).toContain(line)
}

export function shapeOf(text: string): string {
  return text
    .replace(/"[^"]*"/g, '"…"')
    .replace(/(?<=pgweir-postgres-)\w+/g, '…')
    .replace(/\d+(?:\.\d+)*/g, '0')
    .replace(/[ \t]+/g, ' ')
}
