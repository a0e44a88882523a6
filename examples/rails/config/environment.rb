# The part of a Rails start that concerns the database.
require 'active_record'
require 'erb'
require 'yaml'

ActiveRecord::Base.configurations = YAML.safe_load(ERB.new(File.read("#{__dir__}/database.yml")).result)
ActiveRecord::Base.establish_connection(:production)

class Event < ActiveRecord::Base
  has_many :bookings
end

class Booking < ActiveRecord::Base
  belongs_to :event
end
