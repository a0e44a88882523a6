import { expect, test } from 'vitest'
import { openLive } from '../../../src/daemon/live.ts'
import { error, NOWHERE, SettingsError, warning } from '../../../src/settings/problem.ts'

test('files that can be used are, and their problems are warnings', () => {
  const warnings: string[] = []
  const live = openLive({ setup: 'keys', problems: [warning(NOWHERE, 'they expire soon')] }, (sentence) =>
    warnings.push(sentence),
  )
  expect([live.setup, warnings]).toEqual(['keys', ['pgweir: warning: they expire soon']])
})

test('files that cannot be used are an error with all their problems, of which none is a warning', () => {
  const warnings: string[] = []
  const problems = [warning(NOWHERE, 'it expires soon'), error(NOWHERE, 'the key is of another certificate')]
  const open = () => openLive({ setup: null, problems }, (sentence) => warnings.push(sentence))
  expect(open).toThrow(new SettingsError(problems))
  expect(warnings).toEqual([])
})
