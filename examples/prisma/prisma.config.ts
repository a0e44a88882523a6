// What the command `prisma` reads; the application does not.
import { defineConfig } from 'prisma/config'

export default defineConfig({
  schema: 'prisma/schema.prisma',
  // Migrations take a lock of the session: an entry of pgweir in session mode, or PostgreSQL itself.
  datasource: { url: process.env['MIGRATION_URL'] ?? '' },
})
