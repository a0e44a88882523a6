import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/clients/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/every-file.ts'],
    testTimeout: 90_000,
    hookTimeout: 60_000,
    pool: 'threads',
    // Loading all modules again for each file takes longer than some files.
    isolate: false,
    // By default, vitest leaves one core free, which is half of two cores.
    maxWorkers: '100%',
  },
})
