import { defineConfig } from 'vitest/config'

/** They put modules of their own in place of others, or begin with what a process begins with: neither may reach another file. */
const WITH_OWN_MODULES = [
  'test/unit/auth/key-derivation.test.ts',
  'test/unit/daemon/kept-files.test.ts',
  'test/unit/net/choose-transport.test.ts',
]

/** They say how many workers they want, whatever the others have. */
const SAME_WITH_WORKERS = 'test/e2e/fleet-*.test.ts'
const isWithWorkers = process.env['PGWEIR_TEST_WORKERS'] !== undefined

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/every-file.ts'],
    // Several processes on few cores take their time.
    testTimeout: isWithWorkers ? 60_000 : 20_000,
    hookTimeout: 60_000,
    pool: 'threads',
    // By itself vitest leaves a core to others, which of two is half.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'shared modules',
          include: ['test/unit/**/*.test.ts', 'test/flow/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/*.test.ts'],
          exclude: isWithWorkers ? [...WITH_OWN_MODULES, SAME_WITH_WORKERS] : WITH_OWN_MODULES,
          // To load all modules anew for each file takes longer than the tests of most.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'own modules', include: WITH_OWN_MODULES } },
    ],
  },
})
