// Read by the `prisma` command, not by the application.
import { defineConfig } from 'prisma/config'

export default defineConfig({
  schema: 'prisma/schema.prisma',
  // Migrations take a session advisory lock: use a pgweir entry in session mode, or PostgreSQL itself.
  datasource: { url: process.env['MIGRATION_URL'] ?? '' },
})
