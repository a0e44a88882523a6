# `rails db:migrate`
require_relative 'config/environment'

ActiveRecord::Migration.verbose = false
ActiveRecord::MigrationContext.new("#{__dir__}/db/migrate", ActiveRecord::SchemaMigration).migrate
