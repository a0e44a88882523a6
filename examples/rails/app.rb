# Sixty people want two seats each, in forty threads, and there are a hundred seats.
require_relative 'config/environment'

SEATS, BUYERS, THREADS = 100, 60, 40

def buy(event_id, buyer)
  # Active Record prepares this statement on each of its connections.
  event = Event.find(event_id)
  # This is one transaction, so all of it runs on one server.
  event.with_lock do
    next false if event.seats_left < 2

    event.update!(seats_left: event.seats_left - 2)
    event.bookings.create!(buyer: buyer, seats: 2)
    true
  end
end

def timeouts
  ActiveRecord::Base.connection.select_rows("select current_setting('statement_timeout'), current_setting('lock_timeout')").join(', ')
end

def in_threads(count)
  numbers = Queue.new
  count.times { |number| numbers << number }
  numbers.close
  threads = Array.new(THREADS) do
    Thread.new do
      results = []
      while (number = numbers.pop)
        # As in Rails, a thread has a connection for the duration of a request.
        results << ActiveRecord::Base.connection_pool.with_connection { yield number }
      end
      results
    end
  end
  threads.flat_map(&:value)
end

event = Event.create!(name: 'Gala', seats_left: SEATS)
bought = in_threads(BUYERS) { |number| buy(event.id, "buyer #{number}") }.count(true)
puts "#{bought} of #{BUYERS} buyers have seats, #{event.reload.seats_left} of #{SEATS} seats are left"

statements = ActiveRecord::Base.connection.prepared_statements ? 'prepared' : 'not prepared'
seats = event.bookings.find_each(batch_size: 10).sum(&:seats)
puts "batches read #{seats} seats; statements are #{statements}"
puts "timeouts: #{in_threads(BUYERS) { timeouts }.uniq.sort.join(' or ')}"
