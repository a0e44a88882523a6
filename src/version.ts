/** Which pgweir this is: the one text that `--version` and `SHOW VERSION` both show. */

import { readFileSync } from 'node:fs'

// One folder below package.json both as src/version.ts and as dist/version.js.
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

export const VERSION = version

export const versionLine = `pgweir ${VERSION}`
