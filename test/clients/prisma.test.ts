/** The example for Prisma, which has its own packages: they are installed in a copy of its folder. */

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { ROOT } from '../support/docs/documents.ts'
import { promiseExamples } from './support/examples.ts'

const root = mkdtempSync(join(tmpdir(), 'pgweir-prisma-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
cpSync(join(ROOT, 'examples/prisma'), join(root, 'examples/prisma'), {
  recursive: true,
  filter: (path) => !/\/(node_modules|generated)$/.test(path),
})

/** The environment in which npm finds its registry and its cache. */
const ofNpm = Object.fromEntries(
  Object.entries(process.env).filter(([name]) =>
    /^(HOME|PATH|npm_config_\w+|\w+_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name),
  ),
)

await promiseExamples({
  prisma: {
    root,
    env: {
      ...(ofNpm as Record<string, string>),
      npm_config_fetch_retries: '5',
      // The command always looks for the migration engine and would download it, although it does not use it to generate the client.
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      // It does not check for newer versions.
      CHECKPOINT_DISABLE: '1',
    },
  },
})
