import { defineConfig } from 'vitest/config'

/** They put modules of their own in place of others, or begin with what a process begins with: neither may reach another file. */
const WITH_OWN_MODULES = [
  'test/unit/auth/key-derivation.test.ts',
  'test/unit/daemon/kept-files.test.ts',
  'test/unit/net/choose-transport.test.ts',
]

/**
 * With several workers, those are left out that say themselves how many they want, and those that are about what PostgreSQL and one client say
 * to each other, which is the affair of one process. PGWEIR_TEST_ALL=1 has all of them run.
 */
const SAME_WITH_WORKERS = [
  ...['fleet-*', 'library'],
  ...['big-values', 'copy', 'cursors', 'errors', 'pipelining', 'prepared-statements-protocol', 'startup-parameters'],
  ...['transactions', 'types'],
]

/** With several workers on the transport node, also those that are not about how things are carried. */
const SAME_ON_EITHER_TRANSPORT = [
  ...['auth-query', 'auto-prepare', 'bad-input', 'command-line', 'demo', 'docs', 'hba', 'log', 'login-of-clients'],
  ...['login-to-servers', 'metrics', 'modes', 'service-manager', 'top'],
]

const isWithWorkers = process.env['PGWEIR_TEST_WORKERS'] !== undefined
const isForAll = process.env['PGWEIR_TEST_ALL'] === '1'
const isOnNode = process.env['PGWEIR_TEST_TRANSPORT'] === 'node'

function leftOut(): string[] {
  if (!isWithWorkers || isForAll) return []
  const names = isOnNode ? [...SAME_WITH_WORKERS, ...SAME_ON_EITHER_TRANSPORT] : SAME_WITH_WORKERS
  return names.map((name) => `test/e2e/${name}.test.ts`)
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/every-file.ts'],
    // Several processes on few cores take their time.
    testTimeout: isWithWorkers ? 60_000 : 20_000,
    hookTimeout: 60_000,
    // Each process would read all of them when it starts; the tests bring their own.
    env: { NODE_EXTRA_CA_CERTS: '' },
    pool: 'threads',
    // By itself vitest leaves a core to others, which of two is half.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'shared modules',
          include: ['test/unit/**/*.test.ts', 'test/flow/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/*.test.ts'],
          exclude: [...WITH_OWN_MODULES, ...leftOut()],
          // To load all modules anew for each file takes longer than the tests of most.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'own modules', include: WITH_OWN_MODULES } },
    ],
  },
})
