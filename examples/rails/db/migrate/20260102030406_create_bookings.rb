class CreateBookings < ActiveRecord::Migration[6.1]
  # An index cannot be built concurrently in a transaction. This does not disable the lock around all migrations.
  disable_ddl_transaction!

  def change
    create_table :bookings do |t|
      t.references :event, null: false, foreign_key: true, index: false
      t.text :buyer, null: false
      t.integer :seats, null: false
      t.timestamps
    end
    add_index :bookings, :event_id, algorithm: :concurrently
  end
end
