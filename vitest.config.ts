import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts', 'test/flow/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/every-file.ts'],
    // Several processes on few cores take their time.
    testTimeout: process.env['PGWEIR_TEST_WORKERS'] ? 60_000 : 20_000,
    hookTimeout: 60_000,
    pool: 'threads',
    // By itself vitest leaves a core to others, which of two is half.
    maxWorkers: '100%',
  },
})
