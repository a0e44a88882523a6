/** Which pgweir this is: the one text that `--version` and `SHOW VERSION` both show. */

import manifest from '../package.json' with { type: 'json' }

export const VERSION = manifest.version

export const versionLine = `pgweir ${VERSION}`
