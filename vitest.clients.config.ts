import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/clients/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/every-file.ts'],
    testTimeout: 90_000,
    hookTimeout: 60_000,
    pool: 'threads',
    // By itself vitest leaves a core to others, which of two is half.
    maxWorkers: '100%',
  },
})
