/** SHOW STATE. */

import { topic } from './topic.ts'

interface Fact {
  readonly key: string
  readonly holds: boolean
}

export const state = topic<Fact>({
  help: 'Whether the pooler is active, paused or suspended.',
  rows: async ({ fleet }) => {
    const now = await fleet.state()
    return (['active', 'paused', 'suspended'] as const).map((key) => ({ key, holds: key === now }))
  },
  columns: [
    ['key', 'text', 'state', ({ key }) => key],
    ['value', 'text', 'yes or no', ({ holds }) => (holds ? 'yes' : 'no')],
  ],
})
