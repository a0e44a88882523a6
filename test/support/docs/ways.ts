/** THE table of commands that documents show: how each is tested, or why it is not. A command without a row fails the build. */

import type { Command } from './documents.ts'
import { isOwnCommand } from './own-command.ts'

export type Way =
  /** Needs a running pgweir, and is run against one. */
  | 'console'
  /** Any other command of pgweir: run up to the point where it would start something. */
  | 'pgweir'
  /** Fetches a page of a running pgweir. */
  | 'curl'
  /** Run by test/clients/docs.test.ts, which has a psql. */
  | 'psql'
  /** Runs a benchmark: its flags are parsed as the benchmark parses them. */
  | 'bench'
  /** A script of package.json or a test file, which must exist. */
  | 'npm'
  | 'vitest'
  /** Run elsewhere, or cannot be run here. The files of ours that it names must exist. */
  | { readonly because: string }

const EXAMPLE: Way = { because: 'test/clients/examples.test.ts runs what the READMEs of the examples say' }

/** The first row whose beginning matches a command counts. */
const WAYS: readonly (readonly [beginning: string, way: Way])[] = [
  ['pgweir console', 'console'],
  ['node bin/pgweir.js console', 'console'],
  ['pgweir top', 'console'],
  ['curl', 'curl'],
  ['psql', 'psql'],
  ['npm run bench --', 'bench'],
  ['npm run', 'npm'],
  ['npx vitest run', 'vitest'],
  ['npm ci', { because: '.ci/run does it' }],
  ['npm test', { because: '.ci/run does it' }],
  ['export', { because: 'test/clients/examples.test.ts has a server of its own' }],
  ['node examples/node-postgres/app.js', EXAMPLE],
  ['python3 examples/sqlalchemy/app.py', EXAMPLE],
  ['python3 examples/django/manage.py', EXAMPLE],
  ['java examples/jdbc/App.java', EXAMPLE],
  ['ruby examples/rails/migrate.rb', EXAMPLE],
  ['ruby examples/rails/app.rb', EXAMPLE],
  ['npm --prefix examples/prisma', EXAMPLE],
  ['deploy/restart.sh', { because: 'test/e2e/restart.test.ts does it' }],
  ['npm install --global pgweir', { because: 'it needs the registry; .ci/try-package.mjs installs the package' }],
  ['docker build', { because: 'it needs Docker; .ci/try-image.mjs takes the steps of the Dockerfile by hand' }],
  ['docker', { because: 'it needs Docker' }],
  ['kubectl', { because: 'it needs a cluster; test/deploy.test.ts looks at the manifests' }],
  ['helm', { because: 'it needs a cluster; test/clients/helm.test.ts renders the chart' }],
  ...['useradd', 'cd', 'install', 'cp'].map(
    (name) => [name, { because: 'it is for root, on a machine of yours' }] as const,
  ),
  ['systemctl', { because: 'it needs systemd' }],
  ['systemd-analyze', { because: 'it needs systemd' }],
]

export function wayOf({ words, place, line }: Command): Way {
  const typed = words.join(' ')
  const [, way] = WAYS.find(([beginning]) => typed === beginning || typed.startsWith(`${beginning} `)) ?? []
  if (way !== undefined) return way
  if (typed === 'npm start') return { because: '.ci/try-start.mjs does it' }
  if (isOwnCommand(words)) return 'pgweir'
  throw new Error(
    `${place}: '${line}' is to be run by a test, or to have a row in test/support/docs/ways.ts that says why not`,
  )
}
