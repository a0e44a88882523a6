# `rails db:migrate`
require_relative 'config/environment'

ActiveRecord::Migrator.migrations_paths = ["#{__dir__}/db/migrate"]
ENV['VERBOSE'] = 'false'
ActiveRecord::Tasks::DatabaseTasks.migrate
