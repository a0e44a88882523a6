import { defineConfig } from 'vitest/config'

/** Tests that replace modules by their own, or that need a process in its first state. Neither may affect another file. */
const WITH_OWN_MODULES = [
  'test/unit/auth/key-derivation.test.ts',
  'test/unit/daemon/kept-files.test.ts',
  'test/unit/net/choose-transport.test.ts',
]

/**
 * Tests that are left out with several workers: those that set the number of workers themselves, and those about the conversation between
 * PostgreSQL and one client, which involves one process only. PGWEIR_TEST_ALL=1 runs all of them.
 */
const SAME_WITH_WORKERS = [
  ...['fleet-*', 'library'],
  ...['big-values', 'copy', 'cursors', 'errors', 'pipelining', 'prepared-statements-protocol', 'startup-parameters'],
  ...['transactions', 'types'],
]

/** Tests that are also left out with several workers on the transport `node`: those that do not depend on the transport. */
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
    setupFiles: ['test/support/every-file.ts'],
    // Several processes on few cores take longer.
    testTimeout: isWithWorkers ? 60_000 : 20_000,
    hookTimeout: 60_000,
    // Each process would read all of these certificates when it starts. The tests bring their own.
    env: { NODE_EXTRA_CA_CERTS: '' },
    pool: 'threads',
    // By default, vitest leaves one core free, which is half of two cores.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'shared modules',
          include: ['test/unit/**/*.test.ts', 'test/flow/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/*.test.ts'],
          exclude: [...WITH_OWN_MODULES, ...leftOut()],
          // Only here: each project with a global setup would start a PostgreSQL of its own.
          globalSetup: ['test/support/global-setup.ts'],
          // Loading all modules again for each file takes longer than the tests of most files.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'own modules', include: WITH_OWN_MODULES } },
    ],
  },
})
