import { expect, test } from 'vitest'
import { consolePage } from '../../../src/admin/reference.ts'

test('docs/console.md matches the command tables (npx vitest run test/unit/admin/reference.test.ts -u writes it)', async () => {
  await expect(consolePage()).toMatchFileSnapshot('../../../docs/console.md')
})
