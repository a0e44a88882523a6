/** SHOW CONFIG. */

import { type ConfigRow, describeConfig } from '../../settings/describe.ts'
import { topic } from './topic.ts'

export const config = topic<ConfigRow>({
  help: 'The current settings; [settings.md](settings.md) explains them.',
  asksNoWorker: true,
  rows: ({ settings }) => describeConfig(settings),
  columns: [
    ['key', 'text', 'name of the setting', ({ key }) => key],
    ['value', 'text', 'current value', ({ value }) => value],
    ['default', 'text', 'default value', (row) => row.default],
    ['changeable', 'text', '`no` if a change needs a restart', ({ changeable }) => changeable],
  ],
})
