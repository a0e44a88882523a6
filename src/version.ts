/** The version of pgweir, and the line that both `--version` and `SHOW VERSION` print. */

import manifest from '../package.json' with { type: 'json' }

export const VERSION = manifest.version

export const versionLine = `pgweir ${VERSION}`
