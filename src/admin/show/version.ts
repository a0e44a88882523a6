/** SHOW VERSION. */

import { versionLine } from '../../version.ts'
import { topic } from './topic.ts'

export const version = topic<string>({
  help: 'What `pgweir --version` prints.',
  asksNoWorker: true,
  rows: () => [versionLine],
  columns: [['version', 'text', 'name and version', (line) => line]],
})
