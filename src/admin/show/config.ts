/** SHOW CONFIG. */

import { type ConfigRow, describeConfig } from '../../settings/describe.ts'
import { topic } from './topic.ts'

export const config = topic<ConfigRow>({
  help: 'The settings that hold now; [settings.md](settings.md) tells what they mean.',
  asksNoWorker: true,
  rows: ({ settings }) => describeConfig(settings),
  columns: [
    ['key', 'text', 'setting', ({ key }) => key],
    ['value', 'text', 'its value', ({ value }) => value],
    ['default', 'text', 'value if nothing is said', (row) => row.default],
    ['changeable', 'text', 'no if it takes a restart', ({ changeable }) => changeable],
  ],
})
