/** SHOW VERSION. */

import { versionLine } from '../../version.ts'
import { topic } from './topic.ts'

export const version = topic<string>({
  help: 'The version, as printed by `pgweir --version`.',
  asksNoWorker: true,
  rows: () => [versionLine],
  columns: [['version', 'text', 'name and version', (line) => line]],
})
